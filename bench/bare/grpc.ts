import { connect, createServer } from 'node:http2';
import { announce } from './announce.ts';

// The barest pipe from node:http2 to node:http2: fields and trailers as they are. argv: origin of the upstream.

const session = connect(process.argv[2] ?? '');
const server = createServer();

server.on('stream', (stream, _headers, _flags, fields) => {
  const up = session.request(fields);
  let trailers = {};
  // The load generator resets what is under way when its time is over.
  stream.on('error', () => up.close());
  up.on('error', () => stream.close());
  stream.pipe(up);
  up.on('response', (_answer, _upFlags, raw) => {
    if (stream.destroyed) return;
    stream.respond(raw, { waitForTrailers: true });
    up.pipe(stream);
  });
  up.on('trailers', (received) => {
    trailers = received;
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
});
// As above.
server.on('sessionError', () => undefined);
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));
