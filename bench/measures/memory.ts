import { join } from 'node:path';
import { ask } from '../ask.ts';
import { type GatewaySettings, type Site, startGateway } from '../gateway.ts';
import { collectGarbage, residentMiB } from '../resident.ts';
import type { Figure, Result } from '../result.ts';
import { root, type Stage } from '../stage.ts';
import { spreadOf } from '../statistics.ts';

const decisions = 100_000;
const about = { name: 'memory', title: `resident memory of ${decisions} cached decisions`, rows: [] } as const;

/** The system's allocator keeps a different part of what was given back each time: some megabytes more, or less. */
const maxRounds = 3;

/**
 * How much a gateway grows that decides about 100,000 sessions and remembers them all, and how much one that does the same
 * work and forgets: the difference is what remembering costs. Both are measured after a garbage collection: how much of
 * its garbage V8 keeps around says nothing about the decisions.
 */
export async function measureMemory(stage: Stage, site: Site): Promise<Result> {
  const pairs: Pair[] = [];
  for (let round = 0; round < Math.min(stage.options.rounds, maxRounds); round++) {
    const forgetting = await growth(stage, site, { maxAge: '15m', maxEntries: 100, maxBytes: '1MiB' });
    const remembering = await growth(stage, site, { maxAge: '15m', maxEntries: decisions, maxBytes: '1GiB' });
    if (forgetting === undefined || remembering === undefined)
      return { ...about, figures: [], notes: ['this system does not tell'], turns: {} };
    pairs.push({ remembering, forgetting });
  }
  const figure = (what: string, of: (pair: Pair) => number, atMost?: number): Figure => {
    const target = atMost === undefined ? undefined : ({ is: 'at most', value: atMost } as const);
    return { what, unit: 'MiB', target, ...spreadOf(pairs.map(of)) };
  };
  const hits = Math.min(...pairs.map(({ remembering }) => remembering.hits));
  return {
    ...about,
    figures: [
      figure(
        'more than one that did the same and forgot',
        (pair) => pair.remembering.swept - pair.forgetting.swept,
        100,
      ),
      figure('more than right after the start', ({ remembering }) => remembering.swept - remembering.start),
      figure('  of that, the work without remembering', ({ forgetting }) => forgetting.swept - forgetting.start),
    ],
    notes: [`${hits} of the first 1000 sessions were remembered when they came again at the end`],
    turns: { pairs },
  };
}

interface Pair {
  readonly remembering: Growth;
  readonly forgetting: Growth;
}

/** Resident memory in MiB. */
interface Growth {
  readonly start: number;
  readonly end: number;
  /** After a garbage collection. */
  readonly swept: number;
  /** Of the last thousand requests, which came from those who came first. */
  readonly hits: number;
}

type Cache = NonNullable<GatewaySettings['decisionCache']>;

async function growth(stage: Stage, site: Site, decisionCache: Cache): Promise<Growth | undefined> {
  const gateway = await startGateway(stage, site, {
    log: { level: 'info', requests: true },
    decisionCache,
    nodeOptions: ['--inspect=127.0.0.1:0'],
  });
  const start = residentMiB(gateway.pid);
  if (start === undefined) return undefined;
  const secrets = join(stage.folder, 'secrets');
  const job = { url: `http://127.0.0.1:${gateway.port}/me`, secrets, issuer: site.provider.issuer, decisions };
  const client = join(root, 'bench/load/many-sessions.ts');
  await stage.run({ command: process.execPath, args: ['--import', 'tsx', client, JSON.stringify(job)] });
  const hits = await countOf(gateway.admin, 'hit');
  const end = residentMiB(gateway.pid) ?? start;
  await collectGarbage(gateway.debugger ?? '');
  const swept = residentMiB(gateway.pid) ?? end;
  await gateway.stop();
  return { start, end, swept, hits };
}

async function countOf(admin: string, outcome: string): Promise<number> {
  const { body } = await ask(`${admin}/metrics`, {});
  return Number(new RegExp(`^flytegate_decisions_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(body)?.[1] ?? 0);
}
