import { Histogram, type Registry } from 'prom-client';
import type { Millis } from '../config/units.ts';

/** Upper bounds in seconds. */
const BOUNDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];

type Outcome = 'answered' | 'failed';
type Observed = Awaited<ReturnType<Histogram<'upstream' | 'outcome'>['get']>>;

/** How long one upstream took, for one outcome. */
interface Tally {
  readonly labels: { readonly upstream: string; readonly outcome: Outcome };
  /** Of each bound those that were within it and not within the one before; the last counts what was within none. */
  readonly counts: number[];
  sumS: number;
}

/**
 * A histogram that is counted in a few plain numbers and put into Prometheus' form when it is read: the library checks and
 * sorts the labels of each observation, which costs as much as the rules for all fields of a request.
 *
 * @returns takes down the time from sending a request to the head of its answer
 */
export function createUpstreamTimes(registry: Registry): (upstream: string, outcome: Outcome, tookMs: Millis) => void {
  const answered = new Map<string, Tally>();
  const failed = new Map<string, Tally>();
  registry.registerMetric(new Times(() => [...answered.values(), ...failed.values()]));
  return (upstream, outcome, tookMs) => {
    const ofOutcome = outcome === 'answered' ? answered : failed;
    let tally = ofOutcome.get(upstream);
    if (tally === undefined) {
      tally = { labels: { upstream, outcome }, counts: new Array<number>(BOUNDS.length + 1).fill(0), sumS: 0 };
      ofOutcome.set(upstream, tally);
    }
    const tookS = tookMs / 1000;
    let at = 0;
    while (tookS > (BOUNDS[at] ?? Number.POSITIVE_INFINITY)) at += 1;
    tally.counts[at] = (tally.counts[at] ?? 0) + 1;
    tally.sumS += tookS;
  };
}

const NAME = 'flytegate_upstream_seconds';
const ABOUT = {
  name: NAME,
  help: 'Time from sending a request to the head of the answer',
  labelNames: ['upstream', 'outcome'] as const,
  registers: [],
};

/** What the registry asks is answered from the tallies. */
class Times extends Histogram<'upstream' | 'outcome'> {
  readonly #tallies: () => readonly Tally[];
  readonly #empty = new Histogram(ABOUT);

  constructor(tallies: () => readonly Tally[]) {
    super(ABOUT);
    this.#tallies = tallies;
  }

  override async get(): Promise<Observed> {
    return { ...(await this.#empty.get()), values: this.#tallies().flatMap(valuesOf) };
  }

  /** What the library asks instead where it writes the page. */
  getForPromString(): Promise<Observed> {
    return this.get();
  }
}

function valuesOf({ labels, counts, sumS }: Tally): Observed['values'] {
  let count = 0;
  const buckets = counts.map((within, at) => {
    count += within;
    return { metricName: `${NAME}_bucket`, labels: { le: BOUNDS[at] ?? '+Inf', ...labels }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${NAME}_sum`, labels, value: sumS },
    { metricName: `${NAME}_count`, labels, value: count },
  ];
}
