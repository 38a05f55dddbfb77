import { type Dispatcher, Pool } from 'undici';
import type { Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Dial, Place } from './dial.ts';
import { Health, type Pauses } from './health.ts';
import { createHttp2Sessions, type Http2Sessions } from './http2-sessions.ts';
import type { Share } from './share.ts';

const MAX_HEAD_BYTES = 65_536;

export interface AddressNeeds {
  readonly upstream: Upstream;
  readonly dial: Dial;
  /** Bytes of one HTTP/2 stream that may be on their way to us unread. */
  readonly streamWindow: number;
  /** HTTP/2 connections to all addresses together. */
  readonly places: Share;
  readonly pauses: Pauses;
  readonly log: Log;
  readonly now: () => Millis;
}

/** One place that requests to an upstream go to: its connections, how many requests are under way, and how well it is. */
export class Address {
  readonly place: Place;
  readonly health: Health;
  readonly http2: Http2Sessions;
  /** Requests under way, upgraded connections included. */
  inFlight = 0;
  readonly #needs: AddressNeeds;
  readonly #origin: string;
  #pool: Pool | undefined;

  constructor(place: Place, needs: AddressNeeds) {
    const { upstream, dial, log } = needs;
    this.place = place;
    this.#needs = needs;
    const shown = `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
    const origin = `${dial.tls(place) === undefined ? 'http' : 'https'}://${shown}`;
    this.#origin = origin;
    const isHttp2 = upstream.protocol === 'h2' || upstream.protocol === 'h2c';
    this.health = new Health({
      pauses: needs.pauses,
      probe: (done) => dial.probe(place, isHttp2 ? 'h2' : 'http/1.1', done),
      onChange: (cause) => {
        const facts = { upstream: upstream.name, address: shown };
        if (cause === undefined) log.info('upstream.address_back', facts);
        else log.warn('upstream.address_ejected', { ...facts, cause });
      },
    });
    this.http2 = createHttp2Sessions({
      ...upstream,
      ...needs,
      origin,
      open: () => dial.open(place, 'h2'),
      health: this.health,
      load: this,
    });
  }

  /** Sends a request over HTTP/1.1. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool ??= createPool(this.#origin, this.place, this.#needs);
    this.#pool.dispatch(options, handler);
  }

  /** What is under way goes on; connections close when they have nothing left to do. Settles when all have. */
  async retire(): Promise<void> {
    this.health.close();
    await Promise.all([this.#pool?.close(), this.http2.retire()]);
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    this.health.close();
    this.http2.close();
    await this.#pool?.destroy();
  }
}

function createPool(origin: string, place: Place, { upstream, dial }: AddressNeeds): Pool {
  return new Pool(origin, {
    // Who the upstream must prove to be is settled there, whatever a request says.
    connect: (_said, done) => {
      const socket = dial.open(place, 'http/1.1');
      let isTold = false;
      // It stays: whoever has the socket then listens, too, and one error more must not end the process.
      socket.on('error', (error) => {
        if (!isTold) done(error, null);
        isTold = true;
      });
      socket.once(dial.tls(place) === undefined ? 'connect' : 'secureConnect', () => {
        // Refused at the last moment, for what it speaks: its error follows.
        if (isTold || socket.destroyed) return;
        isTold = true;
        done(null, socket);
      });
    },
    connections: upstream.maxConnections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: upstream.idleTimeoutMs,
    keepAliveMaxTimeout: upstream.idleTimeoutMs,
    headersTimeout: upstream.headersTimeoutMs,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
}
