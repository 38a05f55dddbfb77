import { parseArgs } from 'node:util';

export const measureNames = [
  ...(['me', 'forward', 'headers', 'routes', 'grpc', 'grpc-streaming', 'alone'] as const),
  ...(['start', 'latency', 'memory', 'idle-streams'] as const),
] as const;

export type MeasureName = (typeof measureNames)[number];

/** What the command line asked for. */
export interface Options {
  /** Length of one turn; whole seconds, 1 to 60. */
  readonly seconds: number;
  /** How often every contestant takes its turn, 1 to 50. */
  readonly rounds: number;
  /** Seconds of load that are not counted, before the first round; 0 to 60. */
  readonly warmUpS: number;
  readonly only: readonly MeasureName[];
  /** Processors that the servers under test, and everything else, are pinned to. */
  readonly serverCpu: number;
  readonly clientCpu: number;
  /** A build to measure instead of a fresh one: the folder that holds `dist`. */
  readonly build: string | undefined;
  /** Folder that the JSON goes to. */
  readonly results: string | undefined;
}

export const usage = `npm run bench -- [options]
  --seconds N      length of a turn (2)
  --rounds N       turns of every contestant (3)
  --warm-up N      seconds of load before the first round (2)
  --only A,B       of ${measureNames.join(', ')}
  --server-cpu N   processor of the servers under test (0)
  --client-cpu N   processor of load, upstream and provider (1)
  --build DIR      measure DIR/dist instead of a fresh build
  --results DIR    where the JSON goes (bench/results)`;

/** @throws {Error} with a sentence for the person at the terminal */
export function parseOptions(argv: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...{ seconds: text, rounds: text, 'warm-up': text, only: text, build: text, results: text },
      ...{ 'server-cpu': text, 'client-cpu': text },
    },
  });
  return {
    seconds: whole('--seconds', values.seconds, { default: 2, min: 1, max: 60 }),
    rounds: whole('--rounds', values.rounds, { default: 3, min: 1, max: 50 }),
    warmUpS: whole('--warm-up', values['warm-up'], { default: 2, min: 0, max: 60 }),
    serverCpu: whole('--server-cpu', values['server-cpu'], { default: 0, min: 0, max: 1023 }),
    clientCpu: whole('--client-cpu', values['client-cpu'], { default: 1, min: 0, max: 1023 }),
    only: values.only === undefined ? measureNames : values.only.split(',').map(measureNamed),
    build: values.build,
    results: values.results,
  };
}

function whole(name: string, text: string | undefined, bounds: { default: number; min: number; max: number }): number {
  if (text === undefined) return bounds.default;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= bounds.min && value <= bounds.max))
    throw new Error(`${name} is a whole number from ${bounds.min} to ${bounds.max}`);
  return value;
}

function measureNamed(text: string): MeasureName {
  const name = measureNames.find((one) => one === text);
  if (name === undefined) throw new Error(`--only takes some of ${measureNames.join(', ')}`);
  return name;
}
