import type { Duplex } from 'node:stream';
import type { Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { streamBuffer } from '../server/stream-buffer.ts';
import { createWaiting, type Waiting } from '../server/waiting.ts';
import type { Address } from './address.ts';
import { Addresses } from './addresses.ts';
import { createDial, type Dial } from './dial.ts';
import { PAUSES, type Pauses } from './health.ts';
import { Http1Connections } from './http1-connections.ts';
import type { Session } from './http2-sessions.ts';
import { type Lookup, systemLookup } from './resolver.ts';
import { createShare, type Share } from './share.ts';
import { createTlsIdentity } from './tls-identity.ts';

const MAX_WAITING = 4096;
/** More than all callers together may have streams open. */
const MAX_UNANSWERED = 10_000_000;
/** HTTP/2 streams that requests without an identity count as a part of, where a peer sets no limit. */
const MAX_STREAMS = 4096;
/** Of connections and of streams, what is open to requests that nobody vouches for: a stranger may hold those for long. */
const PUBLIC_PART = 1 / 4;

/** Reports how long the head of one answer took; the first report counts. */
export interface Measure {
  answered(): void;
  failed(): void;
}

/** HTTP/2 connections to all addresses of an upstream. */
export interface Http2Connections {
  /**
   * A session with room for a stream, to the address with the fewest requests under way.
   *
   * @param avoid not at this address, unless there is no other
   * @returns undefined when all that may be opened are full
   */
  find(avoid?: Address): { readonly session: Session; readonly address: Address } | undefined;
  /** Whether there is another address. */
  hasOther(than: Address): boolean;
}

/** One configured upstream: its connections, made when first needed. */
export interface UpstreamConnections {
  readonly protocol: Upstream['protocol'];
  readonly scheme: 'http' | 'https';
  readonly headersTimeoutMs: Millis;
  /** What the upstream hears as Host instead of what the request says. */
  readonly hostHeader: string | undefined;
  readonly passesProxyAuthorization: boolean;
  readonly addresses: Addresses;
  readonly http1: Http1Connections;
  readonly http2: Http2Connections;
  /** HTTP/2 requests that wait for the head of their answer. */
  readonly heads: Waiting;
  readonly dial: Dial;
  /** Places for requests to public routes: of connections, upgraded ones included, and of HTTP/2 streams. */
  readonly publicShares: { readonly http1: Share; readonly http2: Share };
  /** Sockets that were upgraded, or are about to be. */
  readonly upgraded: Set<Duplex>;
  /** Starts the clock for one request. */
  measure(): Measure;
  /** Ends every connection at once. */
  close(): Promise<void>;
}

export interface UpstreamNeeds {
  readonly metrics: Metrics;
  readonly log: Log;
  /** Bytes of one stream that may wait here until the other side takes them. */
  readonly streamWindow: number;
  /** Milliseconds of a clock that never steps back. */
  readonly now: () => Millis;
  /** How names are looked up; the system's way unless said. */
  readonly lookup?: Lookup;
  /** How long addresses that fail are left alone. */
  readonly pauses?: Pauses;
}

/** @throws {Failure} `config_invalid` when a certificate, key or CA file cannot be used */
export function createUpstream(upstream: Upstream, needs: UpstreamNeeds): UpstreamConnections {
  const { lookup = systemLookup, pauses = PAUSES } = needs;
  const { maxConnections } = upstream;
  const dial = createDial(upstream, createTlsIdentity(upstream), lookup, streamBuffer(needs.streamWindow));
  const places = createShare(() => maxConnections);
  const addresses = new Addresses({ ...needs, upstream, dial, places, lookup, pauses });
  const over = new AbortController();
  needs.metrics.watchUpstream(upstream.name, () => addresses.state(), over.signal);
  // A connection that takes too long says so itself, a little earlier: then another address can still be tried.
  const patienceMs = upstream.connectTimeoutMs * 1.25;
  const waiting = createWaiting({ max: MAX_WAITING, patienceMs, now: needs.now });
  const heads = createWaiting({ max: MAX_UNANSWERED, patienceMs: upstream.headersTimeoutMs, now: needs.now });
  const servername = upstream.serverName ?? upstream.targets[0]?.host ?? '';
  const http1 = new Http1Connections({ addresses, waiting, servername, max: maxConnections });
  const upgraded = new Set<Duplex>();
  return {
    protocol: upstream.protocol,
    scheme: upstream.protocol === 'http' || upstream.protocol === 'h2c' ? 'http' : 'https',
    headersTimeoutMs: upstream.headersTimeoutMs,
    hostHeader: upstream.hostHeader,
    passesProxyAuthorization: upstream.passesProxyAuthorization === true,
    addresses,
    http1,
    http2: createHttp2Connections(addresses),
    heads,
    dial,
    publicShares: {
      http1: createShare(() => maxConnections * PUBLIC_PART),
      // An HTTP/2 peer that sets no limit still gets no more of them at once.
      http2: createShare(() => Math.min(MAX_STREAMS, capacityOf(addresses)) * PUBLIC_PART),
    },
    upgraded,
    measure: () => new Stopwatch(upstream.name, needs),
    close: async () => {
      // First, so that whoever is turned away finds nothing to go on with.
      const closed = addresses.close();
      http1.close();
      waiting.close();
      heads.close();
      for (const socket of upgraded) socket.destroy();
      over.abort();
      await closed;
    },
  };
}

function createHttp2Connections(addresses: Addresses): Http2Connections {
  return {
    find: (avoid) => {
      if (addresses.isClosed) return undefined;
      const address = addresses.pick(avoid);
      const session = address.http2.find();
      if (session !== undefined) return { session, address };
      for (const other of addresses.all) {
        const found = other === address ? undefined : other.http2.find();
        if (found !== undefined) return { session: found, address: other };
      }
      return undefined;
    },
    hasOther: (than) => addresses.hasOther(than),
  };
}

function capacityOf(addresses: Addresses): number {
  let sum = 0;
  for (const { http2 } of addresses.all) sum += http2.capacity();
  return sum;
}

class Stopwatch implements Measure {
  readonly #name: string;
  readonly #needs: Pick<UpstreamNeeds, 'metrics' | 'now'>;
  readonly #startedAt: Millis;
  #isDone = false;

  constructor(name: string, needs: Pick<UpstreamNeeds, 'metrics' | 'now'>) {
    this.#name = name;
    this.#needs = needs;
    this.#startedAt = needs.now();
  }

  answered(): void {
    this.#report('answered');
  }

  failed(): void {
    this.#report('failed');
  }

  #report(outcome: 'answered' | 'failed'): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#needs.metrics.upstream(this.#name, outcome, this.#needs.now() - this.#startedAt);
  }
}
