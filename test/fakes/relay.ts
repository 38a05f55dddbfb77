import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A port that passes bytes on, and can break what it passes. */
export interface Relay {
  readonly url: string;
  readonly port: number;
  /** Resolves with the next connection that is opened. */
  opened(): Promise<void>;
  /** From now on connections are taken and nothing is passed on; the returned function lets them go on. */
  hold(): () => void;
  /** Resets every connection. */
  reset(): void;
  /** Resets them, and takes no new one until the returned function is called. */
  refuse(): () => void;
  stop(): Promise<void>;
}

/** @param to `scheme://host:port` */
export async function startRelay(to: string): Promise<Relay> {
  const { hostname: host, port: far } = new URL(to);
  const open = new Set<Socket>();
  let isRefusing = false;
  let held: Promise<void> | undefined;
  const keep = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const join = (near: Socket) => {
    if (near.destroyed) return;
    const other = connect({ host, port: Number(far), allowHalfOpen: true });
    keep(other);
    near.pipe(other).pipe(near);
    near.once('close', () => other.destroy());
    other.once('close', () => near.destroy());
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    keep(near);
    if (isRefusing) near.resetAndDestroy();
    else if (held) void held.then(() => join(near));
    else join(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reset = () => {
    for (const socket of open) socket.resetAndDestroy();
  };
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    opened: async () => void (await once(server, 'connection')),
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
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
