import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A port that passes bytes on, and can break what it passes. */
export interface Relay {
  readonly url: string;
  /** Resets every connection. */
  reset(): void;
  /** Resets them, and takes no new one until the returned function is called. */
  refuse(): () => void;
  stop(): Promise<void>;
}

/** @param to `http://host:port` */
export async function startRelay(to: string): Promise<Relay> {
  const { hostname: host, port } = new URL(to);
  const open = new Set<Socket>();
  let isRefusing = false;
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    keep(near);
    if (isRefusing) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ host, port: Number(port), allowHalfOpen: true });
    keep(far);
    near.pipe(far).pipe(near);
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reset = () => {
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reset,
    refuse: () => {
      isRefusing = true;
      reset();
      return () => {
        isRefusing = false;
      };
    },
    stop: async () => {
      reset();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
