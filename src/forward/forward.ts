import type { Config, Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Contain, createContain } from '../server/contain.ts';
import type { Exchange, Wire } from '../server/exchange.ts';
import { type Cut, overBefore } from './cut.ts';
import type { Downstream } from './downstream.ts';
import { Http1Downstream } from './downstream-http1.ts';
import { Http2Downstream, isGrpcCall } from './downstream-http2.ts';
import { createHeaders, type Headers } from './headers.ts';
import type { Pauses } from './health.ts';
import { forwardHttp1 } from './http1.ts';
import { createHttp2Listeners, forwardHttp2, type Http2Listeners } from './http2.ts';
import type { Forward, Forwarded, ForwardPlan } from './plan.ts';
import type { Lookup } from './resolver.ts';
import type { Share } from './share.ts';
import type { UnderWay } from './under-way.ts';
import { forwardUpgrade } from './upgrade.ts';
import { createUpstream, type UpstreamConnections } from './upstream.ts';
import { bodyTooLarge, failed, UpstreamError } from './upstream-failure.ts';

export type { Forward, Forwarded, ForwardPlan } from './plan.ts';

export interface ForwardNeeds {
  readonly upstreams: Config['upstreams'];
  /** Whether a header could be read as an identity, in any spelling. */
  readonly isIdentityHeader: (name: string) => boolean;
  readonly isOurCookie: (name: string) => boolean;
  /** Configured credential headers besides `authorization`, lower case. */
  readonly flyteHeaders: readonly string[];
  readonly limits: {
    /** Bytes of one stream that may wait here before the other side takes them. */
    readonly streamWindow: number;
    /** Silence after which an upgraded connection ends; 0: never. */
    readonly upgradeIdleMs: Millis;
    /** How long a caller whose handshake was refused may take nothing of the answer. */
    readonly bodyIdleMs: Millis;
  };
  /** What ends before its time: signed out, or expired. */
  readonly underWay: UnderWay;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Milliseconds of a clock that never steps back. */
  readonly now?: () => Millis;
  readonly lookup?: Lookup;
  readonly pauses?: Pauses;
  /** Says which connections to go on with, where some were made for the same upstream before; always new ones unless said. */
  readonly connect?: (upstream: Upstream, make: () => UpstreamConnections) => UpstreamConnections;
}

/**
 * Moves requests and answers between callers and upstreams: no opinion about the caller.
 *
 * `close` ends every connection to an upstream at once, and with it whatever still streams: each answer in the words that
 * its protocol has for a service that goes away, else by reset.
 * @throws {Failure} `config_invalid` when an upstream's certificate, key or CA file cannot be used
 */
export function createForward(needs: ForwardNeeds): { forward: Forward; close(): Promise<void> } {
  const now = needs.now ?? (() => performance.now());
  const headers = createHeaders(needs);
  const contain = createContain(needs.log);
  const listeners = createHttp2Listeners(contain);
  const upstreams = new Map<string, UpstreamConnections>();
  const { streamWindow, upgradeIdleMs, bodyIdleMs } = needs.limits;
  const { connect = (_upstream, make) => make(), underWay } = needs;
  for (const [name, setting] of Object.entries(needs.upstreams)) {
    upstreams.set(
      name,
      connect(setting, () => createUpstream(setting, { ...needs, now, streamWindow })),
    );
  }
  return {
    forward: (exchange, plan) => {
      const upstream = upstreams.get(plan.upstream);
      if (upstream === undefined) throw new Failure('internal', `no upstream is called ${plan.upstream}`);
      const { hostHeader, passesProxyAuthorization } = upstream;
      const isPlain = hostHeader === undefined && !passesProxyAuthorization;
      const asked = { passesProxyAuthorization, ...(hostHeader !== undefined && { upstreamHost: hostHeader }) };
      const said = isPlain ? plan : { ...plan, ...asked };
      // What ends because its connections were closed from our side says so.
      const whyLost = (): Cut => (upstream.addresses.isClosed ? 'shutting_down' : 'upstream_lost');
      const shared = { headers, contain, listeners, underWay, upgradeIdleMs, bodyIdleMs };
      return pass(exchange, said, { ...shared, upstream, whyLost });
    },
    close: async () => {
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    },
  };
}

interface Way {
  readonly headers: Headers;
  readonly upstream: UpstreamConnections;
  readonly contain: Contain;
  readonly listeners: Http2Listeners;
  readonly whyLost: () => Cut;
  readonly upgradeIdleMs: Millis;
  readonly bodyIdleMs: Millis;
  readonly underWay: UnderWay;
}

function pass(exchange: Exchange, plan: ForwardPlan, way: Way): Promise<Forwarded> {
  const { method } = exchange.head;
  if (method === 'CONNECT' || method === 'TRACE')
    throw new Failure('method_refused', `${method} reached the forwarder`);
  if (exchange.isGone) return Promise.resolve({ kind: 'abandoned' });
  // What the upstream is told may have been waited for since the decision.
  const over = plan.life && way.underWay.whyOver(plan.life);
  if (over) return Promise.resolve(overBefore(over));
  if (plan.maxBodyBytes !== undefined && announcedBytes(exchange) > plan.maxBodyBytes) {
    const cause = bodyTooLarge(plan.maxBodyBytes);
    return Promise.resolve({ kind: 'failed', code: cause.code, cause });
  }
  if (!plan.isPublic) return passOn(exchange, plan, way);
  const { http1, http2 } = way.upstream.publicShares;
  return passWithin(speaksHttp2(way.upstream, exchange.wire) ? http2 : http1, () => passOn(exchange, plan, way));
}

/** What the head says of the length of the body: 0 when it says nothing. */
function announcedBytes({ head }: Exchange): number {
  return Number(head.fields.get('content-length') ?? 0);
}

/** One of those who were not asked who they are: together they must not keep everybody else out. */
async function passWithin(share: Share, passRequest: () => Promise<Forwarded>): Promise<Forwarded> {
  const giveBack = share.take();
  if (giveBack === undefined) {
    const cause = new UpstreamError('upstream_unreachable', 'too many requests to public routes are under way');
    return { kind: 'failed', code: cause.code, cause };
  }
  try {
    return await passRequest();
  } finally {
    giveBack();
  }
}

function passOn(exchange: Exchange, plan: ForwardPlan, way: Way): Promise<Forwarded> {
  const { headers, upstream, listeners, whyLost, underWay } = way;
  const { wire } = exchange;
  if (wire.kind === 'upgrade') return passUpgrade(exchange, wire, plan, way);
  const { heads, scheme } = upstream;
  const measure = upstream.measure();
  const passage = { exchange, plan, downstream: downstreamOf(wire), whyLost, underWay };
  return speaksHttp2(upstream, wire)
    ? forwardHttp2(passage, { headers, connections: upstream.http2, scheme, heads, measure, listeners })
    : forwardHttp1(passage, { headers, connections: upstream.http1, measure });
}

function passUpgrade(
  exchange: Exchange,
  wire: Extract<Wire, { kind: 'upgrade' }>,
  plan: ForwardPlan,
  { headers, upstream, contain, whyLost, upgradeIdleMs, bodyIdleMs, underWay }: Way,
): Promise<Forwarded> {
  if (upstream.protocol === 'h2' || upstream.protocol === 'h2c') {
    const cause = new UpstreamError(
      'upstream_broken',
      'an upstream that speaks HTTP/2 only cannot upgrade a connection',
    );
    return Promise.resolve({ kind: 'failed', code: cause.code, cause });
  }
  const { addresses, dial, headersTimeoutMs, http1, upgraded: open } = upstream;
  if (!http1.enter()) {
    const cause = new UpstreamError('upstream_unreachable', 'all connections to the upstream are in use');
    return Promise.resolve(failed(cause, false, whyLost()));
  }
  const measure = upstream.measure();
  const times = { headersTimeoutMs, idleMs: upgradeIdleMs, stallMs: bodyIdleMs };
  const sides = { headers, dial, addresses, measure, open };
  const needs = { ...sides, contain, whyLost, underWay, ...times };
  return forwardUpgrade({ exchange, wire, plan }, needs).finally(() => http1.leave());
}

function downstreamOf(wire: Exclude<Wire, { kind: 'upgrade' }>): Downstream {
  return wire.kind === 'http1' ? new Http1Downstream(wire.request, wire.response) : new Http2Downstream(wire.stream);
}

/** HTTP/2 where the setting says so, and for gRPC, which is nothing without it. */
function speaksHttp2(upstream: UpstreamConnections, wire: Wire): boolean {
  if (upstream.protocol === 'h2' || upstream.protocol === 'h2c') return true;
  return isGrpcCall(wire);
}
