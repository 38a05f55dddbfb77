import { readFile } from 'node:fs/promises';
import type { Log } from './log.ts';

/** Files, listeners, and connections to the provider: what a gateway has open besides its callers and upstreams. */
const RESERVE = 200;

/** Reads the limits of this process as the system tells them. @throws when it does not */
export type ReadLimits = () => Promise<string>;

/** As Linux tells them (proc_pid_limits(5)). */
export const readProcessLimits: ReadLimits = () => readFile('/proc/self/limits', 'latin1');

/**
 * Warns (`gateway.descriptors_low`) when this process may open fewer descriptors than its settings promise: two for each
 * connection, one to the caller and one to the upstream. Where the system does not tell, nobody is warned.
 */
export async function checkDescriptors(needs: {
  readonly connections: number;
  readonly log: Log;
  readonly readLimits: ReadLimits;
}): Promise<void> {
  const limit = await softLimit(needs.readLimits);
  if (limit === undefined) {
    needs.log.debug('gateway.descriptors_unknown');
    return;
  }
  const needed = 2 * needs.connections + RESERVE;
  if (limit >= needed) return;
  needs.log.warn('gateway.descriptors_low', {
    limit,
    needed,
    connections: needs.connections,
    enoughFor: Math.max(0, Math.floor((limit - RESERVE) / 2)),
    hint: 'raise the limit on open files (ulimit -n, LimitNOFILE), or lower server.limits.connections',
  });
}

async function softLimit(readLimits: ReadLimits): Promise<number | undefined> {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(await readLimits())?.[1];
    if (soft === undefined) return undefined;
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    // Another system than Linux, or one that hides it: nothing to compare with.
    return undefined;
  }
}
