import type { Duplex } from 'node:stream';
import { buildConnector, type Dispatcher, Pool } from 'undici';
import type { Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { bareHost, createDial, type Dial } from './dial.ts';
import { createHttp2Sessions, type Http2Sessions } from './http2-sessions.ts';
import { createShare, type Share } from './share.ts';
import { createWaiting, type Waiting } from './waiting.ts';

/** Connections to one upstream. Each stream that an HTTP/1.1 upstream keeps open (events, long polls) holds one. */
const MAX_CONNECTIONS = 4096;
const MAX_WAITING = 4096;
/** Of connections and of streams, what is open to requests that nobody vouches for: a stranger may hold those for long. */
const PUBLIC_PART = 1 / 4;
const MAX_HEAD_BYTES = 65_536;

/** HTTP/1.1 connections to an upstream. */
export interface Http1Connections {
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void;
  readonly waiting: Waiting;
  /** To be given with every request: undici would take the caller's Host for the name to verify the upstream by. */
  readonly servername: string;
}

/** Reports how long the head of one answer took; the first report counts. */
export interface Measure {
  answered(): void;
  failed(): void;
}

/** One configured upstream: its connections, made when first needed. */
export interface UpstreamConnections {
  readonly protocol: Upstream['protocol'];
  readonly scheme: 'http' | 'https';
  readonly headersTimeoutMs: Millis;
  readonly http1: Http1Connections;
  readonly http2: Http2Sessions;
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

/** @throws {Failure} `config_invalid` when the CA file cannot be read */
export function createUpstream(
  upstream: Upstream,
  needs: { metrics: Metrics; log: Log; now: () => Millis; streamWindow: number },
): UpstreamConnections {
  const dial = createDial(upstream);
  const scheme = dial.tls === undefined ? 'http' : 'https';
  const host = bareHost(upstream.host);
  const origin = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${upstream.port}`;
  const waiting = createWaiting({ max: MAX_WAITING, patienceMs: upstream.connectTimeoutMs, now: needs.now });
  const pool = createPool(origin, upstream, dial);
  const http2 = createHttp2Sessions({
    origin,
    dial,
    name: upstream.name,
    log: needs.log,
    streamWindow: needs.streamWindow,
  });
  const upgraded = new Set<Duplex>();
  return {
    protocol: upstream.protocol,
    scheme,
    headersTimeoutMs: upstream.headersTimeoutMs,
    http1: { dispatch: (options, handler) => void pool.dispatch(options, handler), waiting, servername: host },
    http2,
    dial,
    publicShares: {
      http1: createShare(() => MAX_CONNECTIONS * PUBLIC_PART),
      // An HTTP/2 peer that sets no limit still gets no more of them at once.
      http2: createShare(() => Math.min(MAX_CONNECTIONS, http2.capacity()) * PUBLIC_PART),
    },
    upgraded,
    measure: () => new Stopwatch(upstream.name, needs),
    close: async () => {
      waiting.close();
      http2.close();
      for (const socket of upgraded) socket.destroy();
      await pool.destroy();
    },
  };
}

function createPool(origin: string, upstream: Upstream, dial: Dial): Pool {
  const connect = buildConnector({ ...dial.tls, allowH2: false, timeout: upstream.connectTimeoutMs });
  return new Pool(origin, {
    // Who the upstream must prove to be is settled here, whatever a request says.
    connect: ({ servername: _ignored, ...where }, done) => connect(where, done),
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    allowH2: false,
    headersTimeout: upstream.headersTimeoutMs,
    bodyTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
}

class Stopwatch implements Measure {
  readonly #name: string;
  readonly #needs: { metrics: Metrics; now: () => Millis };
  readonly #startedAt: Millis;
  #isDone = false;

  constructor(name: string, needs: { metrics: Metrics; now: () => Millis }) {
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
