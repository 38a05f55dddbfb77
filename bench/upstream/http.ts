import { createServer } from 'node:http';
import { announce } from '../bare/announce.ts';

// Stands in for nginx where that is not installed: answers everything with 1 KB.

const body = 'x'.repeat(1024);

const server = createServer((_request, response) => {
  response.writeHead(200, ['Content-Type', 'application/octet-stream', 'Content-Length', String(body.length)]);
  response.end(body, 'latin1');
});
server.keepAliveTimeout = 75_000;
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));
