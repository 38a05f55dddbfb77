import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Millis } from '../config/units.ts';
import type { Figures } from './figures.ts';

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

/** What is counted. */
export interface Metrics {
  request(outcome: RequestOutcome): void;
  decision(outcome: 'hit' | 'miss' | 'allowed' | 'refused' | 'unavailable'): void;
  signIn(outcome: 'started' | 'finished' | 'failed'): void;
  signOut(): void;
  renewal(outcome: 'renewed' | 'refused' | 'failed'): void;
  /** API keys that the provider had to be asked about, and those that it was spared. */
  apiKey(outcome: 'exchanged' | 'refused' | 'limited' | 'unavailable'): void;
  /** The same of opaque tokens. */
  introspection(outcome: 'active' | 'refused' | 'limited' | 'unavailable'): void;
  /** Time from sending a request to the head of its answer. @param tookMs milliseconds */
  upstream(name: string, outcome: 'answered' | 'failed', tookMs: number): void;
  /** How an upstream is gets read whenever the page is, until it is over. Of several by one name the sum is told. */
  watchUpstream(name: string, read: () => UpstreamState, over?: AbortSignal): void;
  /** The page in Prometheus' text format. */
  page(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** What became of new settings. */
export type ReloadOutcome = 'reloaded' | 'unchanged' | 'refused';

/** The metrics of a gateway as its owner has them. */
export interface OwnMetrics extends Metrics {
  /** What is on the page, for `pageOf` in another process. */
  figures(): Promise<readonly Figures[]>;
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
  const upstreams = new Histogram({
    name: 'flytegate_upstream_seconds',
    help: 'Time from sending a request to the head of the answer',
    labelNames: ['upstream', 'outcome'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  });
  const watchUpstream = createWatch(registry);
  const stopMeasuring = measureProcess(registry);
  return {
    request: requests,
    decision: decisions,
    signIn: signIns,
    signOut: () => signOuts('finished'),
    renewal: renewals,
    apiKey: apiKeys,
    introspection: introspections,
    upstream: (upstream, outcome, tookMs) => upstreams.observe({ upstream, outcome }, tookMs / 1000),
    watchUpstream,
    figures: () => registry.getMetricsAsJSON(),
    ...createSettingsMetrics(registry),
    page: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    stop: stopMeasuring,
  };
}

/** A counter with one label that costs one map look-up on the hot path; prom-client hears the sums when it is read. */
function createTally(registry: Registry, name: string, help: string, label: string): (value: string) => void {
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
  return (value) => {
    sums.set(value, (sums.get(value) ?? 0) + 1);
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
