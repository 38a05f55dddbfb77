import type { Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Dial, Place } from './dial.ts';
import { Health, type Pauses } from './health.ts';
import { Http1Clients, openHttp1Client } from './http1-clients.ts';
import { createHttp2Sessions, type Http2Sessions } from './http2-sessions.ts';
import type { Share } from './share.ts';

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
  readonly http1: Http1Clients;
  readonly http2: Http2Sessions;
  /** Requests under way, upgraded connections included. */
  inFlight = 0;

  constructor(place: Place, needs: AddressNeeds) {
    const { upstream, dial, log } = needs;
    this.place = place;
    const shown = `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
    const origin = `${dial.tls(place) === undefined ? 'http' : 'https'}://${shown}`;
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
    this.http1 = new Http1Clients(() => openHttp1Client(origin, { place, dial, upstream }));
    this.http2 = createHttp2Sessions({
      ...upstream,
      ...needs,
      origin,
      open: () => dial.open(place, 'h2'),
      health: this.health,
      load: this,
    });
  }

  /** What is under way goes on; connections close when they have nothing left to do. Settles when all have. */
  async retire(): Promise<void> {
    this.health.close();
    await Promise.all([this.http1.retire(), this.http2.retire()]);
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    this.health.close();
    this.http2.close();
    await this.http1.close();
  }
}
