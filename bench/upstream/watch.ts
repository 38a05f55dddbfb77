import { createServer } from 'node:http2';
import { announce } from '../bare/announce.ts';

// A gRPC service of watch streams: one message of 32 bytes at once, then silence. An upgraded connection stays silent, too.

const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 'x')]);
// So much that a single connection can hold all streams: a bare pipe has no more.
const server = createServer({ settings: { maxConcurrentStreams: 100_000 }, maxSessionMemory: 1000 });

server.on('stream', (stream) => {
  // The load generator resets what is under way when its time is over.
  stream.on('error', () => undefined);
  stream.resume();
  stream.respond([':status', '200', 'content-type', 'application/grpc'], { waitForTrailers: true });
  stream.write(message);
});
// As above.
server.on('sessionError', () => undefined);
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));
