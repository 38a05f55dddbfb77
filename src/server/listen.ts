import type { Address, Config } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { FailureCode } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { createEntrance } from './entrance.ts';
import type { Handler } from './exchange.ts';
import { createHttp1 } from './http1.ts';
import { createHttp2 } from './http2.ts';
import { createReferences } from './reference.ts';
import { type Certificate, createSharedPort } from './shared-port.ts';

export interface ListenerNeeds {
  readonly listen: Address;
  /** PEM. With it the port speaks TLS only. */
  readonly tls?: Certificate;
  readonly limits: Config['server']['limits'];
  readonly handler: Handler;
  readonly log: Log;
  /** Told of every request that is turned away before the handler sees it. */
  readonly onRefused?: (code: FailureCode) => void;
}

/** The public port. */
export interface Listener {
  /**
   * Opens the port.
   *
   * @returns the real address, also when port 0 was asked for
   * @throws {Error} when the port cannot be opened
   */
  start(): Promise<Address>;
  /** Shows another certificate to connections that are opened from now on. @throws {Error} when it cannot be used */
  show(certificate: Certificate): void;
  /**
   * Goes on taking connections and requests, but each answer of HTTP/1.1 says `Connection: close`. Idle connections stay
   * open, so that no request is lost that is on its way on one of them. HTTP/2 callers hear nothing yet: after any GOAWAY
   * of Node's nothing more is served, whatever last stream it names.
   */
  retire(): void;
  /**
   * Takes no more connections, closes idle ones, says GOAWAY to HTTP/2 callers and `Connection: close` to the others.
   * Requests and streams that have begun go on.
   */
  drain(): void;
  /** Drains, waits for what has begun, at most so long, and closes what is left. */
  stop(graceMs: Millis): Promise<void>;
}

/** HTTP/1.0, HTTP/1.1, WebSocket handshakes and HTTP/2 on one port, within the limits; with TLS or without. */
export function createListener(needs: ListenerNeeds): Listener {
  const protocol = {
    limits: needs.limits,
    encrypted: needs.tls !== undefined,
    entrance: createEntrance(needs),
    newReference: createReferences(),
    log: needs.log,
  };
  const http1 = createHttp1(protocol);
  const http2 = createHttp2(protocol);
  const port = createSharedPort({ ...needs, onHttp1: http1.accept, onHttp2: http2.accept });
  const drain = () => {
    port.shut();
    http1.drain();
    http2.drain();
  };
  return {
    start: () => port.open(),
    show: port.show,
    retire: http1.retire,
    drain,
    stop: async (graceMs) => {
      drain();
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(() => {
          for (const socket of port.sockets) socket.destroy();
        }, graceMs);
        port.whenEmpty(() => {
          clearTimeout(deadline);
          resolve();
        });
      });
      http1.close();
      http2.close();
    },
  };
}
