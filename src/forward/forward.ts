import type { Config } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Contain, createContain } from '../server/contain.ts';
import type { Exchange, Wire } from '../server/exchange.ts';
import { type Cut, overBefore } from './cut.ts';
import type { Downstream } from './downstream.ts';
import { Http1Downstream } from './downstream-http1.ts';
import { Http2Downstream, isGrpc } from './downstream-http2.ts';
import { createHeaders, type Headers } from './headers.ts';
import type { Pauses } from './health.ts';
import { forwardHttp1 } from './http1.ts';
import { forwardHttp2 } from './http2.ts';
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
    /** Bytes of one HTTP/2 stream from an upstream that may be on their way before the caller takes them. */
    readonly streamWindow: number;
    /** Silence after which an upgraded connection ends; 0: never. */
    readonly upgradeIdleMs: Millis;
  };
  /** What ends before its time: signed out, or expired. */
  readonly underWay: UnderWay;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Milliseconds of a clock that never steps back. */
  readonly now?: () => Millis;
  readonly lookup?: Lookup;
  readonly pauses?: Pauses;
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
  const upstreams = new Map<string, UpstreamConnections>();
  const { streamWindow, upgradeIdleMs } = needs.limits;
  const { underWay } = needs;
  let isClosing = false;
  const whyLost = (): Cut => (isClosing ? 'shutting_down' : 'upstream_lost');
  for (const [name, setting] of Object.entries(needs.upstreams)) {
    upstreams.set(name, createUpstream(setting, { ...needs, now, streamWindow }));
  }
  return {
    forward: (exchange, plan) => {
      const upstream = upstreams.get(plan.upstream);
      if (upstream === undefined) throw new Failure('internal', `no upstream is called ${plan.upstream}`);
      const { hostHeader } = upstream;
      const said = hostHeader === undefined ? plan : { ...plan, upstreamHost: hostHeader };
      return pass(exchange, said, { headers, upstream, contain, whyLost, upgradeIdleMs, underWay });
    },
    close: async () => {
      isClosing = true;
      await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
    },
  };
}

interface Way {
  readonly headers: Headers;
  readonly upstream: UpstreamConnections;
  readonly contain: Contain;
  readonly whyLost: () => Cut;
  readonly upgradeIdleMs: Millis;
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
  const { headers, upstream, contain, whyLost, underWay } = way;
  const { wire } = exchange;
  if (wire.kind === 'upgrade') return passUpgrade(exchange, wire, plan, way);
  const { heads, scheme } = upstream;
  const measure = upstream.measure();
  const passage = { exchange, plan, downstream: downstreamOf(wire), whyLost, underWay };
  return speaksHttp2(upstream, wire)
    ? forwardHttp2(passage, { headers, connections: upstream.http2, scheme, heads, measure, contain })
    : forwardHttp1(passage, { headers, connections: upstream.http1, measure });
}

function passUpgrade(
  exchange: Exchange,
  wire: Extract<Wire, { kind: 'upgrade' }>,
  plan: ForwardPlan,
  { headers, upstream, contain, whyLost, upgradeIdleMs, underWay }: Way,
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
  const sides = { headers, dial, addresses, headersTimeoutMs, measure, open };
  const needs = { ...sides, contain, whyLost, underWay, idleMs: upgradeIdleMs };
  return forwardUpgrade({ exchange, wire, plan }, needs).finally(() => http1.leave());
}

function downstreamOf(wire: Exclude<Wire, { kind: 'upgrade' }>): Downstream {
  return wire.kind === 'http1' ? new Http1Downstream(wire.request, wire.response) : new Http2Downstream(wire.stream);
}

/** HTTP/2 where the setting says so, and for gRPC, which is nothing without it. */
function speaksHttp2(upstream: UpstreamConnections, wire: Wire): boolean {
  if (upstream.protocol === 'h2' || upstream.protocol === 'h2c') return true;
  return wire.kind === 'http2' && isGrpc(wire.headers);
}
