import { createServer, type ServerHttp2Stream } from 'node:http2';
import { announce } from '../bare/announce.ts';
import { streamedMessage, streamedMessages } from '../load/grpc.ts';

// A gRPC service that streams: every call is answered with many messages, each in a DATA frame of its own, as services send them.

const server = createServer({ settings: { maxConcurrentStreams: 1000 } });

server.on('stream', (stream) => {
  // The load generator resets what is under way when its time is over.
  stream.on('error', () => undefined);
  stream.resume();
  stream.on('end', () => {
    if (stream.destroyed) return;
    stream.respond([':status', '200', 'content-type', 'application/grpc'], { waitForTrailers: true });
    sendFrom(stream, 1);
  });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
});
// As above.
server.on('sessionError', () => undefined);
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));

function sendFrom(stream: ServerHttp2Stream, count: number): void {
  if (stream.destroyed) return;
  if (count === streamedMessages) stream.end(streamedMessage);
  // Not before the last one is on its way: Node would put both into one frame.
  else stream.write(streamedMessage, () => sendFrom(stream, count + 1));
}
