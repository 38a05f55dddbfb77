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

/** What one turn, or a part of it, showed. */
export interface Turn {
  readonly perSecond: number;
  /** Processor time for one answer, microseconds; undefined where the system does not tell. */
  readonly cpuUs: number | undefined;
  /** Share of its processor that the server used: under 0.9, something else held it back. */
  readonly busy: number | undefined;
}

export type Turns = ReadonlyMap<string, readonly Turn[]>;

/**
 * Lets the contestants take turns, every turn second by second: a machine whose speed changes every few seconds then changes
 * it for all of them. Every second of a round begins with another contestant.
 */
export async function race(
  contestants: readonly Contestant[],
  { rounds, seconds, warmUpS }: Pick<Options, 'rounds' | 'seconds' | 'warmUpS'>,
): Promise<Turns> {
  if (warmUpS > 0) for (const one of contestants) await loadNamed(one, warmUpS);
  const tries = Math.min(maxTries, rounds);
  const parts = new Map<string, Turn[]>(contestants.map(({ name }) => [name, []]));
  for (let second = 0; second < rounds * seconds; second++) {
    const first = second % contestants.length;
    for (const one of [...contestants.slice(first), ...contestants.slice(0, first)])
      parts.get(one.name)?.push(await takePart(one, tries));
  }
  return new Map([...parts].map(([name, all]) => [name, turnsOf(all, seconds)]));
}

/** So many parts of a turn at a time as one. */
function turnsOf(parts: readonly Turn[], each: number): Turn[] {
  const turns: Turn[] = [];
  for (let at = 0; at < parts.length; at += each) turns.push(together(parts.slice(at, at + each)));
  return turns;
}

/** Parts of the same length as one turn. */
function together(parts: readonly Turn[]): Turn {
  const answers = sum(parts.map(({ perSecond }) => perSecond));
  return {
    perSecond: answers / parts.length,
    cpuUs: whole(sum(parts.map(({ perSecond, cpuUs = Number.NaN }) => perSecond * cpuUs)) / answers),
    busy: whole(sum(parts.map(({ busy = Number.NaN }) => busy)) / parts.length),
  };
}

const sum = (figures: readonly number[]) => figures.reduce((total, figure) => total + figure, 0);

/** Undefined for what a part did not tell. */
const whole = (figure: number) => (Number.isNaN(figure) ? undefined : figure);

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

/** Tries of one part, since what else runs on the machine comes and goes; no more than rounds, so that a quick look stays quick. */
const maxTries = 3;

const partS = 1;

/** A part of a turn in which the server was at its limit; if there is none, the one in which it came nearest. */
async function takePart(contestant: Contestant, tries: number): Promise<Turn> {
  let best: Turn | undefined;
  for (let tried = 0; tried < tries; tried++) {
    const part = await tryPart(contestant);
    if (part.busy === undefined || part.busy >= atLimit) return part;
    if (best?.busy === undefined || part.busy > best.busy) best = part;
  }
  return best ?? tryPart(contestant);
}

async function tryPart(contestant: Contestant): Promise<Turn> {
  const { pids } = contestant;
  const startedAt = performance.now();
  const before = cpuTimeOfAll(pids);
  const perSecond = await loadNamed(contestant, partS);
  const after = cpuTimeOfAll(pids);
  const tookS = (performance.now() - startedAt) / 1000;
  if (before === undefined || after === undefined) return { perSecond, cpuUs: undefined, busy: undefined };
  const usedUs = after - before;
  return { perSecond, cpuUs: usedUs / (perSecond * partS), busy: usedUs / 1e6 / tookS };
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
