import { createServer } from 'node:http2';
import { announce } from '../bare/announce.ts';

// A gRPC service in its simplest form: every unary call is answered with one message of 32 bytes.

const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 'x')]);
const server = createServer({ settings: { maxConcurrentStreams: 1000 } });

server.on('stream', (stream) => {
  // The load generator resets what is under way when its time is over.
  stream.on('error', () => undefined);
  stream.resume();
  stream.on('end', () => {
    if (stream.destroyed) return;
    stream.respond([':status', '200', 'content-type', 'application/grpc'], { waitForTrailers: true });
    stream.end(message);
  });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
});
// As above.
server.on('sessionError', () => undefined);
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));
