import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../src/observe/log.ts';
import { portOf } from './front.ts';

/** Servers on one port of several loopback addresses, as the pods behind one DNS name. */
export async function listenOn<S extends Server>(hosts: readonly string[], create: (host: string) => S): Promise<S[]> {
  for (let tries = 0; tries < 20; tries += 1) {
    const servers: S[] = [];
    try {
      for (const host of hosts) {
        const server = create(host);
        const [first] = servers;
        server.listen(first === undefined ? 0 : portOf(first), host);
        await once(server, 'listening');
        servers.push(server);
      }
      return servers;
    } catch {
      // Somebody else has that port on one of them: another one.
      for (const server of servers) server.close();
    }
  }
  throw new Error('no port is free on all of them');
}

/**
 * A place where nobody listens, until the test does: at an address of its own, where no other test takes the port meanwhile.
 *
 * @param host a loopback address
 */
export async function deadPlace(host: string): Promise<{ readonly host: string; readonly port: number }> {
  const [server] = await listenOn([host], () => createServer());
  if (server === undefined) throw new Error('no server');
  const place = { host, port: portOf(server) };
  server.close();
  await once(server, 'close');
  return place;
}

/** A server of bare sockets that end with it. */
export function createRaw(onConnection: (socket: Socket) => void): Server & { sockets: Set<Socket> } {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    onConnection(socket);
  });
  return Object.assign(server, { sockets });
}

/** A server that says its name in answer to every request head. */
export function createNamed(name: string): ReturnType<typeof createRaw> {
  return createRaw((socket) => {
    socket.on('data', (chunk) => {
      const heads = chunk.toString('latin1').split('\r\n\r\n').length - 1;
      for (let i = 0; i < heads; i += 1)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);
    });
  });
}

export interface WatchedLog {
  readonly log: Log;
  readonly events: readonly string[];
  readonly facts: readonly Readonly<Record<string, unknown>>[];
  /** Settles when a line of that name was written, be it before. */
  written(event: string, times?: number): Promise<void>;
}

export function createWatchedLog(): WatchedLog {
  const events: string[] = [];
  const facts: Readonly<Record<string, unknown>>[] = [];
  const waiting = new Set<() => void>();
  const write = (event: string, said: Readonly<Record<string, unknown>> = {}) => {
    events.push(event);
    facts.push(said);
    for (const look of waiting) look();
  };
  return {
    log: { debug: () => undefined, info: write, warn: write, error: write },
    events,
    facts,
    written: (event, times = 1) =>
      new Promise((resolve) => {
        const look = () => {
          if (events.filter((name) => name === event).length < times) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
