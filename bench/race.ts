import type { Options } from './options.ts';
import { cpuTimeOf } from './process.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** A server, or several that work together, under the same load as the others. */
export interface Contestant {
  readonly name: string;
  /** The processes whose processor time is counted. */
  readonly pids: readonly number[];
  /** Load for so long. @returns answers in a second */
  readonly load: (seconds: number) => Promise<number>;
}

/** What one turn showed. */
export interface Turn {
  readonly perSecond: number;
  /** Processor time for one answer, microseconds; undefined where the system does not tell. */
  readonly cpuUs: number | undefined;
  /** Share of its processor that the server used: under 0.9, something else held it back. */
  readonly busy: number | undefined;
}

export type Turns = ReadonlyMap<string, readonly Turn[]>;

/** Lets the contestants take turns, every round beginning with another one, so that what disturbs meets all of them. */
export async function race(
  contestants: readonly Contestant[],
  { rounds, seconds, warmUpS }: Pick<Options, 'rounds' | 'seconds' | 'warmUpS'>,
): Promise<Turns> {
  const turns = new Map<string, Turn[]>(contestants.map(({ name }) => [name, []]));
  if (warmUpS > 0) for (const one of contestants) await loadNamed(one, warmUpS);
  for (let round = 0; round < rounds; round++) {
    const first = round % contestants.length;
    for (const one of [...contestants.slice(first), ...contestants.slice(0, first)])
      turns.get(one.name)?.push(await takeTurn(one, { seconds, tries: Math.min(maxTries, rounds) }));
  }
  return turns;
}

/** A contestant beside another. */
export interface Pair {
  readonly over: string;
  readonly under: string;
}

/** Ratios of answers per second, round by round. */
export function speedRatio(turns: Turns, { over, under }: Pair): Spread {
  return spreadOf(sideBySide(turns, { over, under }, (a, b) => a.perSecond / b.perSecond));
}

/**
 * Ratios of answers per second of processor time, round by round: what stays of the ratio above when others use the
 * processor, too. Undefined where the system does not tell.
 */
export function thriftRatio(turns: Turns, { over, under }: Pair): Spread | undefined {
  const ratios = sideBySide(turns, { over, under }, (a, b) => (b.cpuUs ?? Number.NaN) / (a.cpuUs ?? Number.NaN));
  return ratios.some(Number.isNaN) ? undefined : spreadOf(ratios);
}

function sideBySide(turns: Turns, { over, under }: Pair, compare: (a: Turn, b: Turn) => number): number[] {
  const below = turns.get(under) ?? [];
  return (turns.get(over) ?? []).flatMap((turn, round) => {
    const other = below[round];
    return other === undefined ? [] : [compare(turn, other)];
  });
}

/** Under so much of its processor, a server was not at its limit. */
export const atLimit = 0.9;

/** Tries of one turn, since what else runs on the machine comes and goes; no more than rounds, so that a quick look stays quick. */
const maxTries = 3;

/** A turn in which the server was at its limit; if there is none, the one in which it came nearest. */
async function takeTurn(contestant: Contestant, { seconds, tries }: { seconds: number; tries: number }): Promise<Turn> {
  let best: Turn | undefined;
  for (let tried = 0; tried < tries; tried++) {
    const turn = await tryTurn(contestant, seconds);
    if (turn.busy === undefined || turn.busy >= atLimit) return turn;
    if (best?.busy === undefined || turn.busy > best.busy) best = turn;
  }
  return best ?? tryTurn(contestant, seconds);
}

async function tryTurn(contestant: Contestant, seconds: number): Promise<Turn> {
  const { pids } = contestant;
  const startedAt = performance.now();
  const before = cpuTimeOfAll(pids);
  const perSecond = await loadNamed(contestant, seconds);
  const after = cpuTimeOfAll(pids);
  const tookS = (performance.now() - startedAt) / 1000;
  if (before === undefined || after === undefined) return { perSecond, cpuUs: undefined, busy: undefined };
  const usedUs = after - before;
  return { perSecond, cpuUs: usedUs / (perSecond * seconds), busy: usedUs / 1e6 / tookS };
}

async function loadNamed({ name, load }: Contestant, seconds: number): Promise<number> {
  try {
    return await load(seconds);
  } catch (cause) {
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function cpuTimeOfAll(pids: readonly number[]): number | undefined {
  if (pids.length === 0) return undefined;
  let total = 0;
  for (const pid of pids) {
    const time = cpuTimeOf(pid);
    if (time === undefined) return undefined;
    total += time;
  }
  return total;
}
