import type { Config } from './config/config.ts';
import { fingerprint } from './config/fingerprint.ts';
import type { Loaded } from './config/load.ts';
import { describeMistake } from './config/mistake.ts';
import { needsRestart } from './config/restart.ts';
import { Failure } from './failure.ts';
import { createGeneration } from './generation.ts';
import type { Generations } from './generations.ts';
import type { Lasting } from './lasting.ts';
import type { LogOutput } from './observe/log.ts';
import type { OwnMetrics, ReloadOutcome } from './observe/metrics.ts';
import { readCertificate } from './server/certificate.ts';
import type { Listener } from './server/listen.ts';

export interface TakeOverNeeds {
  readonly lasting: Lasting;
  readonly generations: Generations;
  readonly listener: Pick<Listener, 'show'>;
  readonly output: Pick<LogOutput, 'setLevel'>;
  readonly metrics: Pick<OwnMetrics, 'reload' | 'settings'>;
}

/** Everything made of new settings, while nothing goes by them yet. */
export type Prepared =
  /** One of the two ends it, before anything else is prepared. */
  | { readonly kind: 'ready'; readonly commit: () => void; readonly drop: () => void }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** New settings are taken over as a whole, or refused with every reason and everything stays as it is. One at a time. None throws. */
export interface TakeOver {
  /** The first half, where others have to be able to, too. What is refused is logged and counted. */
  prepare(load: () => Promise<Loaded>): Promise<Prepared>;
  /** Both halves. */
  reload(load: () => Promise<Loaded>): Promise<ReloadOutcome>;
}

export function createTakeOver(needs: TakeOverNeeds): TakeOver {
  const { lasting, generations, metrics } = needs;
  const refuse = (reasons: readonly string[], cause?: unknown): Prepared => {
    const facts = cause === undefined || cause instanceof Failure ? { reasons } : {};
    const digest = digestOf(generations.current.config);
    lasting.log.error('config.refused', { ...facts, ...(cause !== undefined && { cause }), inForce: digest });
    metrics.reload('refused');
    return { kind: 'refused', reasons };
  };
  const decide = async (loaded: Loaded): Promise<Prepared> => {
    if (loaded.kind === 'mistakes') return refuse(loaded.mistakes.map(describeMistake));
    const { config } = loaded;
    const before = generations.current.config;
    if (fingerprint(config) === fingerprint(before)) {
      lasting.log.info('config.unchanged', { digest: digestOf(config) });
      metrics.reload('unchanged');
      return { kind: 'unchanged' };
    }
    const settled = needsRestart(before, config);
    if (settled.length > 0) return refuse(settled.map(describeMistake));
    return make(config, needs);
  };
  // What cannot be made of new settings is told; what was made before goes on.
  const refuseFor = (cause: unknown) =>
    refuse([cause instanceof Failure ? cause.message : 'they cannot be used'], cause);
  const prepare: TakeOver['prepare'] = (load) => load().then(decide).catch(refuseFor);
  const commit = (prepared: Prepared): ReloadOutcome => {
    if (prepared.kind !== 'ready') return prepared.kind;
    prepared.commit();
    return 'reloaded';
  };
  return {
    prepare,
    reload: (load) =>
      prepare(load)
        .then(commit)
        .catch((cause: unknown) => {
          refuseFor(cause);
          return 'refused';
        }),
  };
}

/** Of the settings as a whole, for log and metrics: the same in all processes that have the same. */
export function digestOf(config: Config): string {
  return fingerprint(config).slice(0, 16);
}

/** Nothing can fail after the first thing that shows. */
async function make(config: Config, needs: TakeOverNeeds): Promise<Prepared> {
  const { lasting, generations, listener, output, metrics } = needs;
  const before = generations.current;
  const { tls, drainMs } = config.server;
  const certificate =
    tls && certificateOf(config) !== certificateOf(before.config) ? await readCertificate(tls) : undefined;
  const next = createGeneration(config, lasting, before);
  const commit = () => {
    if (certificate) listener.show(certificate);
    output.setLevel(config.log.level);
    generations.replace(next, drainMs);
    const digest = digestOf(config);
    lasting.log.info('config.reloaded', { digest, changed: changedSections(before.config, config) });
    metrics.settings(digest, lasting.now());
    metrics.reload('reloaded');
  };
  return { kind: 'ready', commit, drop: next.discard };
}

/** A port that shows the same certificate again would forget the TLS sessions that its callers could resume. */
function certificateOf({ server: { tls }, pemFiles }: Config): string {
  return fingerprint([tls?.certFile, tls?.keyFile].map((file = '') => [file, pemFiles[file]]));
}

function changedSections(before: Config, after: Config): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as ReadonlySet<keyof Config>;
  return [...names].filter((name) => fingerprint([before[name]]) !== fingerprint([after[name]]));
}
