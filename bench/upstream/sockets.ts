import { createServer } from 'node:http';
import { announce } from '../bare/announce.ts';

// Agrees to every WebSocket handshake, says one byte and then nothing. The frames are nobody's business here.

const server = createServer();
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => undefined);
  socket.resume();
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n.');
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => announce(server));
