import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { Millis } from '../config/units.ts';
import type { Figures } from './figures.ts';
import { createUpstreamTimes } from './upstream-times.ts';

/** How a request of the public port ended. */
export type RequestOutcome =
  | 'forwarded'
  | 'endpoint'
  | 'sign_in'
  | 'denied'
  | 'unavailable'
  | 'refused'
  | 'not_found'
  | 'upstream_failed';

/** How an upstream is at the moment. */
export interface UpstreamState {
  /** Addresses that requests go to. */
  readonly inUse: number;
  /** Addresses that are left alone because they fail. */
  readonly leftAlone: number;
  /** Requests under way, upgraded connections included. */
  readonly inFlight: number;
}

/** How Redis is, at one moment. */
export interface RedisState {
  /** Whether each connection stands. */
  readonly up: Readonly<Record<string, boolean>>;
  /** Whether sign-outs elsewhere are known here. */
  readonly isCurrent: boolean;
}

/** What is counted. */
export interface Metrics {
  request(outcome: RequestOutcome): void;
  decision(outcome: 'hit' | 'miss' | 'allowed' | 'refused' | 'unavailable'): void;
  signIn(outcome: 'started' | 'finished' | 'failed'): void;
  signOut(): void;
  /** Logout tokens of the provider, by what was answered: 200, 400, 503 or 429. */
  backchannelLogout(outcome: 'done' | 'refused' | 'unavailable' | 'limited'): void;
  /** So many exchanges were under way by a right that is over. */
  streamsEnded(why: 'session_revoked' | 'session_expired' | 'token_expired', count: number): void;
  renewal(outcome: 'renewed' | 'refused' | 'failed'): void;
  /** API keys that the provider had to be asked about, and those that it was spared. */
  apiKey(outcome: 'exchanged' | 'refused' | 'limited' | 'unavailable'): void;
  /** The same of opaque tokens. */
  introspection(outcome: 'active' | 'refused' | 'limited' | 'unavailable'): void;
  /** Questions to Redis that got no answer, and attempts to connect that failed. */
  redisFailure(kind: 'connect' | 'down' | 'full' | 'timeout' | 'lost' | 'refused'): void;
  /** How Redis is gets read whenever the page is. */
  watchRedis(read: () => RedisState): void;
  /** Time from sending a request to the head of its answer. @param tookMs milliseconds */
  upstream(name: string, outcome: 'answered' | 'failed', tookMs: number): void;
  /** How an upstream is gets read whenever the page is, until it is over. Of several by one name the sum is told. */
  watchUpstream(name: string, read: () => UpstreamState, over?: AbortSignal): void;
  /** The page in Prometheus' text format. */
  page(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** How an issuer of tokens is, at one moment. */
export interface IssuerState {
  readonly issuer: string;
  /** Whether it answers. */
  readonly isUp: boolean;
  /** Whether its keys can be fetched, whatever keys are at hand. */
  readonly areKeysUp: boolean;
}

/** What became of new settings. */
export type ReloadOutcome = 'reloaded' | 'unchanged' | 'refused';

/** The metrics of a gateway as its owner has them. */
export interface OwnMetrics extends Metrics {
  /** What is on the page, for `pageOf` in another process. */
  figures(): Promise<readonly Figures[]>;
  /** How issuers are gets asked whenever the page is read. @param read never rejects, and takes a second at most */
  watchIssuers(read: () => Promise<readonly IssuerState[]>): void;
  /** Settings were read again. */
  reload(outcome: ReloadOutcome): void;
  /** These settings are in force now. */
  settings(digest: string, at: Millis): void;
  /** Stops measuring the event loop. */
  stop(): void;
}

/** Counts for one gateway; nothing global, so that several can live in one process. */
export function createMetrics(): OwnMetrics {
  const registry = new Registry();
  const requests = createTally(
    registry,
    'flytegate_requests_total',
    'Requests of the public port by how they ended',
    'outcome',
  );
  const decisions = createTally(
    registry,
    'flytegate_decisions_total',
    'Auth decisions: cache hits and misses, and what was decided',
    'outcome',
  );
  const signIns = createTally(registry, 'flytegate_sign_ins_total', 'Sign-ins by how far they came', 'outcome');
  const signOuts = createTally(registry, 'flytegate_sign_outs_total', 'Sessions ended by their person', 'outcome');
  const backchannelLogouts = createTally(
    registry,
    'flytegate_backchannel_logouts_total',
    'Logout tokens of the provider by what became of them',
    'outcome',
  );
  const streamsEnded = createTally(
    registry,
    'flytegate_streams_ended_total',
    'Streams, sockets and requests under way that ended with the session or token that they began by',
    'why',
  );
  const renewals = createTally(
    registry,
    'flytegate_renewals_total',
    'Session renewals asked of the provider',
    'outcome',
  );
  const apiKeys = createTally(
    registry,
    'flytegate_api_keys_total',
    'API keys that were not at hand, by what became of their exchange',
    'outcome',
  );
  const introspections = createTally(
    registry,
    'flytegate_introspections_total',
    'Opaque tokens that were not at hand, by what their issuer said',
    'outcome',
  );
  const redisFailures = createTally(
    registry,
    'flytegate_redis_failures_total',
    'Questions to Redis without an answer, and failed attempts to connect',
    'kind',
  );
  const watchUpstream = createWatch(registry);
  const stopMeasuring = measureProcess(registry);
  return {
    request: requests,
    decision: decisions,
    signIn: signIns,
    signOut: () => signOuts('finished'),
    backchannelLogout: backchannelLogouts,
    streamsEnded,
    renewal: renewals,
    apiKey: apiKeys,
    introspection: introspections,
    upstream: createUpstreamTimes(registry),
    redisFailure: redisFailures,
    watchRedis: (read) => watchRedis(registry, read),
    watchUpstream,
    watchIssuers: (read) => watchIssuers(registry, read),
    figures: () => registry.getMetricsAsJSON(),
    ...createSettingsMetrics(registry),
    page: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    stop: stopMeasuring,
  };
}

/** A counter with one label that costs one map look-up on the hot path; prom-client hears the sums when it is read. */
function createTally(
  registry: Registry,
  name: string,
  help: string,
  label: string,
): (value: string, count?: number) => void {
  const sums = new Map<string, number>();
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, sum] of sums) this.inc({ [label]: value }, sum);
    },
  });
  return (value, count = 1) => {
    sums.set(value, (sums.get(value) ?? 0) + count);
  };
}

/** What became of new settings, and which are in force: the digest is the same in all processes that have the same. */
function createSettingsMetrics(registry: Registry): Pick<OwnMetrics, 'reload' | 'settings'> {
  const registers = [registry];
  const reloads = new Counter({
    name: 'flytegate_config_reloads_total',
    help: 'Settings that were read again, by what became of them',
    labelNames: ['outcome'],
    registers,
    // All processes of one gateway take over the same.
    aggregator: 'max',
  });
  const info = new Gauge({
    name: 'flytegate_config_info',
    help: 'Digest of the settings in force',
    labelNames: ['digest'],
    registers,
    aggregator: 'max',
  });
  const since = new Gauge({
    name: 'flytegate_config_loaded_timestamp_seconds',
    help: 'When the settings in force were taken over',
    registers,
    aggregator: 'max',
  });
  return {
    reload: (outcome) => reloads.inc({ outcome }),
    settings: (digest, at) => {
      info.reset();
      info.set({ digest }, 1);
      since.set(at / 1000);
    },
  };
}

/** Gauges that are there only where Redis is used. */
function watchRedis(registry: Registry, read: () => RedisState): void {
  new Gauge({
    name: 'flytegate_redis_up',
    help: 'Whether a connection to Redis stands (1) or questions fail at once (0)',
    labelNames: ['connection'],
    registers: [registry],
    aggregator: 'min',
    collect() {
      for (const [connection, isUp] of Object.entries(read().up)) this.set({ connection }, isUp ? 1 : 0);
    },
  });
  new Gauge({
    name: 'flytegate_revocations_current',
    help: 'Whether sign-outs made elsewhere are known here (1), or sessions are believed without (0)',
    registers: [registry],
    aggregator: 'min',
    collect() {
      this.set(read().isCurrent ? 1 : 0);
    },
  });
}

/** A gauge of issuers: 1, or 0 where one does not answer. */
function watchIssuers(registry: Registry, read: () => Promise<readonly IssuerState[]>): void {
  new Gauge({
    name: 'flytegate_provider_up',
    help: 'Whether an issuer answers when asked for its metadata, or its keys (1), or not (0)',
    labelNames: ['issuer', 'asked'],
    registers: [registry],
    aggregator: 'min',
    async collect() {
      const states = await read();
      this.reset();
      for (const { issuer, isUp, areKeysUp } of states) {
        this.set({ issuer, asked: 'metadata' }, isUp ? 1 : 0);
        this.set({ issuer, asked: 'keys' }, areKeysUp ? 1 : 0);
      }
    },
  });
}

/** Gauges of upstreams: what they say is asked when the page is read. */
function createWatch(registry: Registry): Metrics['watchUpstream'] {
  const upstreams = new Map<string, Set<() => UpstreamState>>();
  const sumOf = (reads: Set<() => UpstreamState>, part: keyof UpstreamState) =>
    [...reads].reduce((sum, read) => sum + read()[part], 0);
  new Gauge({
    name: 'flytegate_upstream_addresses',
    help: 'Addresses of an upstream: in use, and left alone because they fail',
    labelNames: ['upstream', 'state'],
    registers: [registry],
    aggregator: 'max',
    collect() {
      this.reset();
      for (const [upstream, reads] of upstreams) {
        this.set({ upstream, state: 'in_use' }, sumOf(reads, 'inUse'));
        this.set({ upstream, state: 'left_alone' }, sumOf(reads, 'leftAlone'));
      }
    },
  });
  new Gauge({
    name: 'flytegate_upstream_requests_in_flight',
    help: 'Requests under way at an upstream, upgraded connections included',
    labelNames: ['upstream'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [upstream, reads] of upstreams) this.set({ upstream }, sumOf(reads, 'inFlight'));
    },
  });
  return (name, read, over) => {
    const reads = upstreams.get(name) ?? new Set();
    upstreams.set(name, reads.add(read));
    over?.addEventListener(
      'abort',
      () => {
        reads.delete(read);
        if (reads.size === 0) upstreams.delete(name);
      },
      { once: true },
    );
  };
}

/** Milliseconds between two samples of the event loop. */
const samplingMs = 20;

/** What is measured is the time from one sample to the next: the lag is what it took longer than planned. */
function lagOf(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e9 - samplingMs / 1000);
}

function measureProcess(registry: Registry): () => void {
  const delay = monitorEventLoopDelay({ resolution: samplingMs });
  delay.enable();
  new Gauge({
    name: 'flytegate_event_loop_lag_seconds',
    help: 'Lag of the event loop since the page was last read',
    labelNames: ['quantile'],
    registers: [registry],
    aggregator: 'max',
    collect() {
      for (const quantile of [50, 99, 100])
        this.set({ quantile: String(quantile / 100) }, lagOf(delay.percentile(quantile)));
      delay.reset();
    },
  });
  new Gauge({
    name: 'flytegate_memory_bytes',
    help: 'Resident memory of the process',
    registers: [registry],
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  return () => delay.disable();
}
