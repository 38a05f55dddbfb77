import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { portOf } from './front.ts';

/** An upstream made of bare sockets: it sees and says exactly the bytes that the test names. */
export interface RawUpstream {
  readonly port: number;
  /** What each connection received so far, as latin1. */
  readonly received: readonly string[];
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/**
 * @param onHead called each time a whole message head has come on a connection
 */
export async function startRawUpstream(
  onHead: (socket: Socket, head: string, index: number) => void,
): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const index = sockets.push(socket) - 1;
    received.push('');
    let unread = '';
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      received[index] += text;
      unread += text;
      for (let end = unread.indexOf('\r\n\r\n'); end !== -1; end = unread.indexOf('\r\n\r\n')) {
        const head = unread.slice(0, end + 4);
        unread = unread.slice(end + 4);
        onHead(socket, head, index);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    received,
    sockets,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port where nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}
