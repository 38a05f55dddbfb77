import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Upstream } from '../../src/config/config.ts';
import { Failure } from '../../src/failure.ts';
import { createForward, type Forwarded, type ForwardNeeds, type ForwardPlan } from '../../src/forward/forward.ts';
import { createUnderWay, type UnderWay } from '../../src/forward/under-way.ts';
import type { Log } from '../../src/observe/log.ts';
import type { Metrics, UpstreamState } from '../../src/observe/metrics.ts';
import type { Exchange, Wire } from '../../src/server/exchange.ts';
import { Fields } from '../../src/server/request-head.ts';

/** A door in front of one upstream: HTTP/1.1 on one port, HTTP/2 on another, everything passed on by the forwarder. */
export interface Front {
  readonly http1Port: number;
  readonly http2Port: number;
  /** The outcome of each request, in the order they ended. */
  readonly outcomes: readonly Forwarded[];
  /** Measured upstream answers: `answered` or `failed`. */
  readonly measured: readonly string[];
  nextOutcome(): Promise<Forwarded>;
  /** The caller's side of the newest exchange. */
  readonly lastWire: () => Wire | undefined;
  /** What was thrown for mistakes of ours; the caller's connection is closed then. */
  readonly crashes: readonly unknown[];
  /** What metrics hear of the upstream. */
  state(): UpstreamState;
  /** What passing on a bare request of some method throws. */
  outcomeOf(method: string): Promise<string>;
  close(): Promise<void>;
}

export interface FrontNeeds {
  readonly upstream: Partial<Upstream> & { readonly port?: number };
  readonly lookup?: ForwardNeeds['lookup'];
  readonly pauses?: ForwardNeeds['pauses'];
  readonly log?: Log;
  /** What the plan says besides; its host is by default the one that the request names. */
  readonly plan?: Partial<ForwardPlan>;
  readonly limits?: Partial<ForwardNeeds['limits']>;
  readonly flyteHeaders?: readonly string[];
  readonly isIdentityHeader?: (name: string) => boolean;
  /** What ends before its time; nothing does unless said. */
  readonly underWay?: UnderWay;
  /** Whether a target belongs to a public route; none does unless said. */
  readonly isPublic?: (target: string) => boolean;
  /** What each request waits for before it is passed on, as for a decision. */
  readonly decision?: (wire: Wire) => Promise<void>;
  /** What the exchange says of a caller who may have left meanwhile; the truth unless said. */
  readonly isGone?: (wire: Wire) => boolean;
}

const quiet: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Nobody signs out. */
export function endless(): UnderWay {
  const metrics = { streamsEnded: () => undefined };
  return createUnderWay({ isRevoked: () => false, now: Date.now, log: quiet, metrics });
}

/** What tests of other things need not say of an upstream. */
export const usualTimes = {
  resolveIntervalMs: 30_000,
  idleTimeoutMs: 60_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
  maxConnections: 4096,
};

const IDENTITY_PREFIXES = [
  'x-auth-request-',
  'x-amzn-oidc-',
  'x-user-',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
];

function isIdentityHeader(name: string): boolean {
  const hyphenated = name.toLowerCase().replaceAll('_', '-');
  return IDENTITY_PREFIXES.some((prefix) => hyphenated.startsWith(prefix));
}

export async function startFront(needs: FrontNeeds): Promise<Front> {
  const outcomes: Forwarded[] = [];
  const measured: string[] = [];
  const waiters: ((outcome: Forwarded) => void)[] = [];
  let state: Front['state'] = () => assert.fail('no upstream');
  const metrics: Metrics = {
    request: () => undefined,
    decision: () => undefined,
    signIn: () => undefined,
    signOut: () => undefined,
    backchannelLogout: () => undefined,
    streamsEnded: () => undefined,
    renewal: () => undefined,
    apiKey: () => undefined,
    introspection: () => undefined,
    upstream: (_name, outcome) => measured.push(outcome),
    redisFailure: () => undefined,
    watchRedis: () => undefined,
    watchUpstream: (_name, read) => {
      state = read;
    },
    page: () => Promise.resolve({ contentType: '', body: '' }),
  };
  const upstream: Upstream = {
    name: 'up',
    protocol: 'http',
    targets: [{ host: '127.0.0.1', port: needs.upstream.port ?? 0 }],
    ...usualTimes,
    identityHeaders: [],
    upstreamAuthorization: 'verified',
    connectTimeoutMs: 2000,
    headersTimeoutMs: 5000,
    ...needs.upstream,
  };
  const { forward, close } = createForward({
    upstreams: { up: upstream },
    isIdentityHeader: needs.isIdentityHeader ?? isIdentityHeader,
    isOurCookie: (name) => name.includes('flytegate'),
    flyteHeaders: needs.flyteHeaders ?? ['flyte-authorization'],
    limits: { streamWindow: 262_144, upgradeIdleMs: 0, bodyIdleMs: 60_000, ...needs.limits },
    underWay: needs.underWay ?? endless(),
    log: needs.log ?? quiet,
    metrics,
    ...(needs.lookup && { lookup: needs.lookup }),
    ...(needs.pauses && { pauses: needs.pauses }),
  });

  const crashes: unknown[] = [];
  const passed = async (exchange: Exchange) => forward(exchange, planOf(needs, exchange.head));
  let last: Wire | undefined;
  const handle = async (wire: Wire, exchange: Exchange) => {
    last = wire;
    await needs.decision?.(wire);
    const outcome = await passed(exchange).catch((cause: unknown) => void crashes.push(cause));
    if (outcome === undefined) {
      (wire.kind === 'http1' ? wire.request.socket : wire.kind === 'http2' ? wire.stream : wire.socket).destroy();
      return;
    }
    if (outcome.kind === 'failed') refuse(wire, outcome.code);
    outcomes.push(outcome);
    waiters.shift()?.(outcome);
  };

  const sockets = new Set<Duplex>();
  const http1 = createHttp1((request, response) => {
    void handle({ kind: 'http1', request, response }, exchangeOf({ kind: 'http1', request, response }, needs));
  });
  http1.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void handle(
      { kind: 'upgrade', request, socket, head },
      exchangeOf({ kind: 'upgrade', request, socket, head }, needs),
    );
  });
  const http2 = createHttp2();
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    void handle({ kind: 'http2', stream, headers }, exchangeOf({ kind: 'http2', stream, headers }, needs, raw));
  });
  for (const server of [http1, http2]) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
  }
  return {
    http1Port: await listen(http1),
    http2Port: await listen(http2),
    outcomes,
    measured,
    nextOutcome: () => new Promise((resolve) => waiters.push(resolve)),
    lastWire: () => last,
    crashes,
    state: () => state(),
    outcomeOf: (method) =>
      codeThrown(() => forward({ head: { method } } as Exchange, planOf(needs, { authority: '', target: '/' }))),
    close: async () => {
      const closed = [once(http1, 'close'), once(http2, 'close')];
      http1.close();
      http2.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all([...closed, close()]);
    },
  };
}

function planOf(needs: FrontNeeds, head: Pick<Exchange['head'], 'authority' | 'target'>): ForwardPlan {
  const client = { address: '192.0.2.7', scheme: 'https' as const, host: (head.authority ?? '').toLowerCase() };
  const isPublic = needs.isPublic?.(head.target) ?? false;
  return { upstream: 'up', identity: [], bearer: undefined, isPublic, maxBodyBytes: undefined, client, ...needs.plan };
}

async function codeThrown(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
    return 'nothing';
  } catch (error) {
    return error instanceof Failure ? error.code : String(error);
  }
}

export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Sends bytes to a port and gives back what comes until the other side closes. */
export async function talk(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

function isGone(wire: Wire): boolean {
  if (wire.kind === 'http1') return wire.response.destroyed || wire.request.socket.destroyed;
  return wire.kind === 'http2' ? wire.stream.destroyed || wire.stream.closed : wire.socket.destroyed;
}

function exchangeOf(wire: Wire, needs: FrontNeeds, raw: readonly string[] = []): Exchange {
  return {
    head: wire.kind === 'http2' ? headOfStream(wire.headers, raw) : headOf(wire.request),
    wire,
    connection: wire,
    id: 'ref-1',
    startedAt: performance.now(),
    get isGone() {
      return (needs.isGone ?? isGone)(wire);
    },
    send: () => undefined,
  };
}

function headOfStream(headers: IncomingHttpHeaders, raw: readonly string[]): Exchange['head'] {
  return {
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    authority: headers[':authority'],
    version: '2',
    encrypted: false,
    peer: '127.0.0.1',
    fields: new Fields(raw.filter((_part, i) => !raw[i - (i % 2)]?.startsWith(':'))),
  };
}

function headOf(request: IncomingMessage): Exchange['head'] {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    authority: request.headers.host,
    version: request.httpVersion === '1.0' ? '1.0' : '1.1',
    encrypted: false,
    peer: '127.0.0.1',
    fields: new Fields(request.rawHeaders),
  };
}

function refuse(wire: Wire, code: string): void {
  if (wire.kind === 'http2') {
    if (!wire.stream.destroyed && !wire.stream.headersSent) {
      wire.stream.respond({ ':status': 502 });
      wire.stream.end(code);
    }
    return;
  }
  if (wire.kind === 'upgrade') {
    wire.socket.end(`HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: ${code.length}\r\n\r\n${code}`);
    return;
  }
  const response: ServerResponse = wire.response;
  response.writeHead(502, { connection: 'close', 'content-length': code.length });
  response.end(code);
}
