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

/**
 * Takes new settings over as a whole, or says every reason why not and leaves everything as it is. One at a time. Never
 * throws.
 */
export function createTakeOver(needs: TakeOverNeeds): (load: () => Promise<Loaded>) => Promise<ReloadOutcome> {
  const { lasting, generations, metrics } = needs;
  const refuse = (facts: { reasons: readonly string[] } | { cause: unknown }): ReloadOutcome => {
    const digest = digestOf(generations.current.config);
    lasting.log.error('config.refused', { ...facts, inForce: digest });
    return 'refused';
  };
  const decide = async (loaded: Loaded): Promise<ReloadOutcome> => {
    if (loaded.kind === 'mistakes') return refuse({ reasons: loaded.mistakes.map(describeMistake) });
    const { config } = loaded;
    const before = generations.current.config;
    const digest = digestOf(config);
    if (fingerprint(config) === fingerprint(before)) {
      lasting.log.info('config.unchanged', { digest });
      return 'unchanged';
    }
    const settled = needsRestart(before, config);
    if (settled.length > 0) return refuse({ reasons: settled.map(describeMistake) });
    await bringIn(config, needs);
    lasting.log.info('config.reloaded', { digest, changed: changedSections(before, config) });
    metrics.settings(digest, lasting.now());
    return 'reloaded';
  };
  return async (load) => {
    // What cannot be made of new settings is told; what was made before goes on.
    const outcome = await load()
      .then(decide)
      .catch((cause: unknown) => refuse(cause instanceof Failure ? { reasons: [cause.message], cause } : { cause }));
    metrics.reload(outcome);
    return outcome;
  };
}

/** Of the settings as a whole, for log and metrics: the same in all processes that have the same. */
export function digestOf(config: Config): string {
  return fingerprint(config).slice(0, 16);
}

/** Nothing can fail after the first thing that shows. */
async function bringIn(config: Config, { lasting, generations, listener, output }: TakeOverNeeds): Promise<void> {
  const before = generations.current;
  const { tls, drainMs } = config.server;
  const certificate =
    tls && certificateOf(config) !== certificateOf(before.config) ? await readCertificate(tls) : undefined;
  const next = createGeneration(config, lasting, before);
  if (certificate) listener.show(certificate);
  output.setLevel(config.log.level);
  generations.replace(next, drainMs);
}

/** A port that shows the same certificate again would forget the TLS sessions that its callers could resume. */
function certificateOf({ server: { tls }, pemFiles }: Config): string {
  return fingerprint([tls?.certFile, tls?.keyFile].map((file = '') => [file, pemFiles[file]]));
}

function changedSections(before: Config, after: Config): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as ReadonlySet<keyof Config>;
  return [...names].filter((name) => fingerprint([before[name]]) !== fingerprint([after[name]]));
}
