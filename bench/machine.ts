import { cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Stage } from './stage.ts';

/** Where the figures come from, in general words. */
export interface Machine {
  readonly processors: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly load: string;
  readonly pinning: string;
  /** Load over the last minute before the first measure. */
  readonly loadAverage: number;
}

export function describeMachine({ tools, isPinned, options }: Stage): Machine {
  const all = cpus();
  const [average = 0] = loadavg();
  return {
    processors: `${all.length} × ${all[0]?.model ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    load: [
      tools.wrk ? 'wrk' : 'a built-in undici client (wrk is not installed)',
      tools.h2load ? 'h2load' : 'a built-in node:http2 client (h2load is not installed)',
    ].join(', '),
    pinning: isPinned
      ? `servers under test on processor ${options.serverCpu}, everything else on ${options.clientCpu}`
      : 'none (one processor, or no taskset): load and server disturb each other',
    loadAverage: Math.round(average * 100) / 100,
  };
}
