import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../ask.ts';
import { type Site, saysWhere } from '../gateway.ts';
import type { Figure, Result } from '../result.ts';
import { root, type Stage } from '../stage.ts';
import { spreadOf } from '../statistics.ts';
import { startHttpUpstream } from '../upstream.ts';

const patienceMs = 10_000;

/** From the start of the process until `/readyz` misses nothing, with provider and upstream up. */
export async function measureStart(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startHttpUpstream(stage);
  const settings = await site.settings({ upstream, log: { level: 'info', requests: true } });
  const ways = [
    { what: 'start to ready, built', args: [join(stage.build, 'dist/cli.js')] },
    { what: 'start to ready, by tsx from the sources', args: ['--import', 'tsx', join(root, 'src/cli.ts')] },
  ];
  const times = ways.map((): number[] => []);
  // The first start fills the caches of the file system and is not counted.
  for (let round = -1; round < stage.options.rounds; round++) {
    for (const [at, { args }] of ways.entries()) {
      const tookMs = await startOnce(stage, [...args, 'serve', '--config', settings]);
      if (round >= 0) times[at]?.push(tookMs);
    }
  }
  const figures = ways.map(
    ({ what }, at): Figure => ({
      what,
      unit: 'ms',
      target: at === 0 ? { is: 'at most', value: 1000 } : undefined,
      ...spreadOf(times[at] ?? []),
    }),
  );
  return { name: 'start', title: 'start to ready', rows: [], figures, notes: [], turns: { times } };
}

async function startOnce(stage: Stage, args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const { ready, stop } = await stage.start('server', { command: process.execPath, args }, saysWhere);
  try {
    while (!(await isReady(ready[3] ?? ''))) {
      if (performance.now() - startedAt > patienceMs) throw new Error('the gateway was not ready in time');
      await pause(5);
    }
    return performance.now() - startedAt;
  } finally {
    await stop();
  }
}

async function isReady(admin: string): Promise<boolean> {
  const { status, body } = await ask(`${admin}/readyz`, {});
  const readiness: unknown = JSON.parse(body);
  if (typeof readiness !== 'object' || readiness === null || !('missing' in readiness)) return false;
  return status === 200 && Array.isArray(readiness.missing) && readiness.missing.length === 0;
}
