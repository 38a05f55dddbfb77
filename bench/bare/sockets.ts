import { createServer } from 'node:http';
import { connect } from 'node:net';
import { announce } from './announce.ts';

// The barest tunnel for upgraded connections: the request as it came, then two pipes. argv: origin of the upstream.

const { port, hostname } = new URL(process.argv[2] ?? '');
const server = createServer();

server.on('upgrade', ({ method, url, rawHeaders }, socket) => {
  const up = connect(Number(port), hostname);
  let head = `${method} ${url} HTTP/1.1\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  up.write(`${head}\r\n`);
  socket.on('error', () => up.destroy());
  up.on('error', () => socket.destroy());
  socket.pipe(up).pipe(socket);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => announce(server));
