import type { Socket } from 'node:net';
import { Client } from 'undici';
import type { Upstream } from '../config/config.ts';
import type { Dial, Place } from './dial.ts';

/** Of an answer's head; Node's default for a request's is a quarter of it. */
const MAX_HEAD_BYTES = 65_536;

/** One connection to an upstream, opened again when it is needed and gone, for one request at a time. */
export interface Http1Client {
  readonly client: Client;
  /** Ends it at once, also while it is being opened. */
  end(): Promise<void>;
}

/**
 * HTTP/1.1 connections to one address. The one used last is used first; how many there are is up to whoever takes them.
 *
 * Not undici's pool, which looks through all that are busy to find one that is not, twice for each request.
 */
export class Http1Clients {
  readonly #open: () => Http1Client;
  readonly #idle: Http1Client[] = [];
  readonly #all = new Set<Http1Client>();

  constructor(open: () => Http1Client) {
    this.#open = open;
  }

  /** One that nobody uses; to be given back, or dropped. */
  take(): Http1Client {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const fresh = this.#open();
    this.#all.add(fresh);
    return fresh;
  }

  /** After an answer that came whole, or before anything was sent. */
  giveBack(one: Http1Client): void {
    if (this.#all.has(one)) this.#idle.push(one);
  }

  /** After anything else: what the next request would find there, nobody knows. */
  drop(one: Http1Client): void {
    if (this.#all.delete(one)) void one.end();
  }

  /** Lets each end with what it carries, the idle ones now. Settles when all have ended. */
  async retire(): Promise<void> {
    this.#idle.length = 0;
    await Promise.all([...this.#all].map(({ client }) => client.close()));
  }

  /** Ends all at once. */
  async close(): Promise<void> {
    const all = [...this.#all];
    this.#all.clear();
    this.#idle.length = 0;
    await Promise.all(all.map((one) => one.end()));
  }
}

/** @param origin of the address, which may be another one than the upstream's name has */
export function openHttp1Client(
  origin: string,
  { place, dial, upstream }: { place: Place; dial: Dial; upstream: Upstream },
): Http1Client {
  let socket: Socket | undefined;
  const isTls = dial.tls(place) !== undefined;
  const client = new Client(origin, {
    // Who the upstream must prove to be is settled there, whatever a request says.
    connect: (_said, done) => {
      const dialled = dial.open(place, 'http/1.1');
      socket = dialled;
      let isTold = false;
      // It stays: whoever has the socket then listens, too, and one error more must not end the process.
      dialled.on('error', (error) => {
        if (!isTold) done(error, null);
        isTold = true;
      });
      dialled.once(isTls ? 'secureConnect' : 'connect', () => {
        // Refused at the last moment, for what it speaks: its error follows.
        if (isTold || dialled.destroyed) return;
        isTold = true;
        done(null, dialled);
      });
    },
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: upstream.idleTimeoutMs,
    keepAliveMaxTimeout: upstream.idleTimeoutMs,
    headersTimeout: upstream.headersTimeoutMs,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
  return {
    client,
    end: () => {
      const ended = client.destroy();
      socket?.destroy();
      return ended;
    },
  };
}
