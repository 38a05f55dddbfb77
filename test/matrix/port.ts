import type { AddressInfo, Server, Socket } from 'node:net';

/** Something that listens on 127.0.0.1. */
export interface Port {
  readonly port: number;
  /** Closes the port and every connection, at once. */
  close(): Promise<void>;
}

/** Opens a free port. */
export function listen(server: Server): Promise<Port> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined); // told by 'close'
    socket.once('close', () => sockets.delete(socket));
  });
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as AddressInfo).port, close }));
  });
}
