import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openSite, type Site } from './gateway.ts';
import { describeMachine } from './machine.ts';
import { measureAlone } from './measures/alone.ts';
import { measureForward } from './measures/forward.ts';
import { measureGrpc } from './measures/grpc.ts';
import { measureGrpcStreaming } from './measures/grpc-streaming.ts';
import { measureHeaders } from './measures/headers.ts';
import { measureIdleStreams } from './measures/idle-streams.ts';
import { measureLatency } from './measures/latency.ts';
import { measureMe } from './measures/me.ts';
import { measureMemory } from './measures/memory.ts';
import { measureRoutes } from './measures/routes.ts';
import { measureStart } from './measures/start.ts';
import { type MeasureName, type Options, parseOptions, usage } from './options.ts';
import { startProvider } from './provider.ts';
import type { Result } from './result.ts';
import { openStage, root, type Stage } from './stage.ts';
import { tableOf } from './table.ts';

// `npm run bench`: measures side by side, prints tables, leaves the figures as JSON. Fails when something does not work,
// never because it is slow.

const measures: Readonly<Record<MeasureName, (stage: Stage, site: Site) => Promise<Result>>> = {
  me: measureMe,
  forward: measureForward,
  headers: measureHeaders,
  routes: measureRoutes,
  grpc: measureGrpc,
  'grpc-streaming': measureGrpcStreaming,
  alone: measureAlone,
  start: measureStart,
  latency: measureLatency,
  memory: measureMemory,
  'idle-streams': measureIdleStreams,
};

await main();

async function main(): Promise<void> {
  const options = optionsOrExit();
  let stage: Stage | undefined;
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      isStopped = true;
      void Promise.resolve(stage?.close()).then(() => process.exit(130));
    });
  }
  try {
    stage = await openStage(options);
    await measureAll(stage, options);
  } catch (cause) {
    // What was stopped on the way fails, and everybody knows why.
    if (isStopped) return;
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
    process.exitCode = 1;
  } finally {
    await stage?.close();
  }
}

async function measureAll(stage: Stage, options: Options): Promise<void> {
  const machine = describeMachine(stage);
  say(`${machine.processors}, ${machine.system}, Node ${machine.node}, load average ${machine.loadAverage}`);
  say(`load by ${machine.load}; pinning: ${machine.pinning}`);
  say(`${options.rounds} rounds of ${options.seconds} s; ratios are taken round by round`);
  const site = await openSite(stage, await startProvider(stage));
  const results: Result[] = [];
  for (const name of options.only) {
    const result = await stage.during(() => measures[name](stage, site));
    results.push(result);
    say(tableOf(result));
  }
  const folder = options.results === undefined ? join(root, 'bench/results') : resolve(options.results);
  await mkdir(folder, { recursive: true });
  const date = new Date().toISOString();
  const file = join(folder, `${date.replaceAll(':', '-').slice(0, 19)}.json`);
  await writeFile(file, `${JSON.stringify({ date, machine, options, results }, null, 2)}\n`);
  say(`written to ${file}`);
}

function optionsOrExit(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n${usage}\n`);
    process.exit(2);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
