import { atLimit, type Pair, speedRatio, type Turn, type Turns, thriftRatio } from './race.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** A figure that was asked for, beside what was found. */
export interface Figure extends Spread {
  readonly what: string;
  readonly unit: '' | 'ms' | 'MiB';
  /** Undefined for a figure that is only shown. */
  readonly target: { readonly is: 'at least' | 'at most'; readonly value: number } | undefined;
  /** A server had processor time left: something else held it back, and the figure says as much about that. */
  readonly isDoubtful?: true;
}

/** One contestant in the table; medians. */
export interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly cpuUs: number | undefined;
  readonly busy: number | undefined;
}

export interface Result {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** What is counted in the rows; answers unless said otherwise. */
  readonly counted?: string;
  readonly figures: readonly Figure[];
  /** What a reader of the figures has to know. */
  readonly notes: readonly string[];
  /** Every turn, for the JSON. */
  readonly turns: Readonly<Record<string, unknown>>;
}

/** A ratio that a race has to give. */
export interface WantedRatio extends Pair {
  /** Least; undefined for a ratio that is only shown. */
  readonly target?: number;
}

/** The table and ratios of a race. */
export function resultOf(
  about: Pick<Result, 'name' | 'title' | 'counted'> & Partial<Pick<Result, 'notes'>>,
  turns: Turns,
  ratios: readonly WantedRatio[],
): Result {
  const wanted = ratios.filter(({ over, under }) => turns.has(over) && turns.has(under));
  return {
    ...about,
    notes: about.notes ?? [],
    rows: [...turns].map(([name, all]) => ({
      name,
      perSecond: spreadOf(all.map(({ perSecond }) => perSecond)).median,
      cpuUs: medianOf(all.map(({ cpuUs }) => cpuUs)),
      busy: medianOf(all.map(({ busy }) => busy)),
    })),
    figures: wanted.flatMap((ratio) => figuresOf(turns, ratio)),
    turns: Object.fromEntries(turns),
  };
}

function figuresOf(turns: Turns, { over, under, target }: WantedRatio): Figure[] {
  const what = `${over} ÷ ${under}`;
  const thrift = thriftRatio(turns, { over, under });
  const shown = { unit: '', target: undefined } as const;
  const isDoubtful = [over, under].some((name) => hasTimeLeft(turns.get(name) ?? []));
  return [
    {
      ...shown,
      what,
      ...(target !== undefined && { target: { is: 'at least', value: target } }),
      ...speedRatio(turns, { over, under }),
      ...(isDoubtful && { isDoubtful }),
    },
    ...(thrift ? [{ ...shown, what: '  the same by processor time', ...thrift }] : []),
  ];
}

function hasTimeLeft(turns: readonly Turn[]): boolean {
  return isIdle({ busy: medianOf(turns.map(({ busy }) => busy)) });
}

/** Whether a server used less of its processor than one at its limit does. */
export function isIdle({ busy }: Pick<Row, 'busy'>): boolean {
  return busy !== undefined && busy < atLimit;
}

function medianOf(figures: readonly (number | undefined)[]): number | undefined {
  const known = figures.filter((figure) => figure !== undefined);
  return known.length === 0 ? undefined : spreadOf(known).median;
}
