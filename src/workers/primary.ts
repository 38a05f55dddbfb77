import cluster, { type Worker } from 'node:cluster';
import { availableParallelism } from 'node:os';
import type { Config } from '../config/config.ts';
import { fingerprint } from '../config/fingerprint.ts';
import type { Loaded } from '../config/load.ts';
import { describeMistake } from '../config/mistake.ts';
import { needsRestart } from '../config/restart.ts';
import { createAdminServer } from '../observe/admin.ts';
import { pageOf } from '../observe/figures.ts';
import type { Readiness } from '../observe/health.ts';
import { createLog, type LogOutput } from '../observe/log.ts';
import { createMetrics, type OwnMetrics } from '../observe/metrics.ts';
import { type Crew, type CrewNeeds, createCrew } from './crew.ts';
import { stepsTo } from './steps.ts';
import { encodeConfig } from './wire-config.ts';

/** Several processes behind one port. */
export interface Primary {
  start(): Promise<{ readonly url: string; readonly admin: string }>;
  /** Hands new settings to all workers, or says why not. One at a time. Never throws. */
  reload(load: () => Promise<Loaded>): Promise<void>;
  /** Drains all workers. */
  stop(): Promise<void>;
}

/** How long after `server.drain` workers may take to say their last words. */
const LAST_WORDS_MS = 5000;

/**
 * Keeps as many workers as `server.workers` says, with the operator's port for all of them; serves nothing itself.
 *
 * @param needs.fork starts a process that calls `runWorker`
 */
export function createPrimary(config: Config, needs: Partial<Pick<CrewNeeds, 'fork' | 'pauses'>> = {}): Primary {
  const { workers } = config.server;
  const count = workers === 'auto' ? availableParallelism() : workers;
  const output = createLog({ level: config.log.level, worker: 0 });
  const { log } = output;
  const metrics = createMetrics();
  let inForce = config;
  let state: Readiness['state'] = 'starting';
  const failed = Promise.withResolvers<never>();
  // Nobody may be waiting for it.
  failed.promise.catch(() => undefined);
  const crew = createCrew({
    ...{ count, log, ...needs },
    fork: needs.fork ?? forkInTurn,
    settings: encodeConfig(config),
    onFailed: ({ message, ...facts }) => failed.reject(Object.assign(new Error(message), facts)),
  });
  const admin = createAdminServer({
    listen: config.server.admin,
    readiness: async () => readinessOf(state, count, await crew.states()),
    metrics: { page: async () => pageOf([await metrics.figures(), ...(await crew.figures())]) },
    api: (request) => crew.api(request),
  });
  const stop = async () => {
    state = 'draining';
    const { drainMs } = inForce.server;
    log.info('gateway.draining', { workers: count, drainMs });
    await crew.stop(drainMs + LAST_WORDS_MS);
    await admin.stop();
    metrics.stop();
    log.info('gateway.stopped');
    output.flush();
  };
  const takeOver = async (next: Config): Promise<readonly string[]> => {
    const before = inForce;
    for (const step of stepsTo(next, before)) {
      const reasons = await crew.takeOver(encodeConfig(step));
      if (reasons.length > 0) {
        if (inForce !== before && (await crew.takeOver(encodeConfig(before))).length === 0) inForce = before;
        return reasons;
      }
      inForce = step;
    }
    return [];
  };
  return {
    start: async () => {
      const at = await admin.start();
      try {
        const url = await Promise.race([crew.start(), failed.promise]);
        state = 'serving';
        const host = at.host.includes(':') ? `[${at.host}]` : at.host;
        return { url, admin: `http://${host}:${at.port}` };
      } catch (cause) {
        await stop();
        throw cause;
      }
    },
    reload: async (load) => {
      const next = await read(load, inForce, { metrics, output });
      if (!next) return;
      const reasons = await takeOver(next);
      if (reasons.length === 0) return output.setLevel(next.log.level);
      log.error('config.refused', { reasons });
      metrics.reload('refused');
    },
    stop,
  };
}

/** Connections go to the workers in turn: left to the system, a few of them would get most. */
function forkInTurn(): Worker {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  return cluster.fork();
}

/** @returns settings that are new and can be taken over */
async function read(
  load: () => Promise<Loaded>,
  before: Config,
  { metrics, output: { log } }: { metrics: OwnMetrics; output: LogOutput },
): Promise<Config | undefined> {
  const refuse = (facts: { reasons: readonly string[] } | { cause: unknown }) => {
    log.error('config.refused', facts);
    metrics.reload('refused');
    return undefined;
  };
  try {
    const loaded = await load();
    if (loaded.kind === 'mistakes') return refuse({ reasons: loaded.mistakes.map(describeMistake) });
    const settled = needsRestart(before, loaded.config);
    if (settled.length > 0) return refuse({ reasons: settled.map(describeMistake) });
    if (fingerprint(loaded.config) !== fingerprint(before)) return loaded.config;
    log.info('config.unchanged');
    metrics.reload('unchanged');
    return undefined;
  } catch (cause) {
    // The settings in force stay, whatever went wrong with reading others.
    return refuse({ cause });
  }
}

/** Ready while somebody serves: one that is being replaced is no reason to take its neighbours out. */
function readinessOf(
  state: Readiness['state'],
  count: number,
  states: Awaited<ReturnType<Crew['states']>>,
): Readiness & { readonly workers: { readonly wanted: number; readonly ready: number } } {
  const ready = states.filter(({ readiness }) => readiness.ready).length;
  const missing = [...new Set(states.flatMap(({ readiness }) => readiness.missing))];
  return { ready: state === 'serving' && ready > 0, state, missing, workers: { wanted: count, ready } };
}
