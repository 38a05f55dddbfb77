import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Site, startGateway } from '../gateway.ts';
import type { IdleLoad } from '../load/idle.ts';
import { cpuTimeOf } from '../process.ts';
import { collectGarbage, residentMiB } from '../resident.ts';
import type { Figure, Result } from '../result.ts';
import { root, type Stage } from '../stage.ts';
import { startBare, startNode } from '../upstream.ts';

const streams = 10_000;
const streamsPerConnection = 100;
const sockets = 8000;
const about = {
  name: 'idle-streams',
  title: `${streams} idle watch streams on ${streams / streamsPerConnection} connections, and ${sockets} idle WebSockets`,
  rows: [],
} as const;

/**
 * What watch streams and WebSockets cost that carry nothing: how much a gateway grows, after a garbage collection, and the
 * processor time that it takes meanwhile; beside the barest pipe for the same.
 */
export async function measureIdleStreams(stage: Stage, site: Site): Promise<Result> {
  const [watch, agreeable] = await Promise.all([
    startNode(stage, 'upstream/watch.ts'),
    startNode(stage, 'upstream/sockets.ts'),
  ]);
  const headers = { 'flyte-authorization': `Bearer ${await site.provider.token()}` };
  const streamLoad = { kind: 'streams', headers, count: streams, perConnection: streamsPerConnection } as const;
  const socketLoad = { kind: 'sockets', headers, count: sockets, perConnection: 1 } as const;
  const gateway = (upstream: string) => () =>
    startGateway(stage, site, { upstream, log: { level: 'info', requests: true }, nodeOptions: [inspect] });
  const bare = (script: string, upstream: string) => () => startBare(stage, script, upstream, [inspect]);
  const turns = {
    streams: await growth(stage, gateway(watch.replace('http:', 'h2c:')), streamLoad),
    'streams, barest pipe': await growth(stage, bare('bare/grpc.ts', watch), streamLoad),
    sockets: await growth(stage, gateway(agreeable), socketLoad),
    'sockets, barest tunnel': await growth(stage, bare('bare/sockets.ts', agreeable), socketLoad),
  };
  const notes = Object.values(turns).includes(undefined) ? ['this system does not tell'] : [];
  return {
    ...about,
    figures: [
      ...figuresOf(`${streams} streams`, turns.streams, streams, 350),
      ...figuresOf('  the barest node:http2 pipe', turns['streams, barest pipe'], streams),
      ...figuresOf(`${sockets} WebSockets`, turns.sockets, sockets),
      ...figuresOf('  the barest tunnel', turns['sockets, barest tunnel'], sockets),
    ],
    notes,
    turns,
  };
}

const inspect = '--inspect=127.0.0.1:0';
const settleMs = 5000;

interface Growth {
  readonly residentMiB: number;
  /** Before the garbage of opening them all was collected. */
  readonly unsweptMiB: number;
  /** In a second, while nothing happens. */
  readonly cpuMs: number;
}

interface Measured {
  readonly pid: number;
  readonly port: number;
  readonly debugger: string | undefined;
  stop(): Promise<void>;
}

async function growth(
  stage: Stage,
  start: () => Promise<Measured>,
  load: Omit<IdleLoad, 'url'>,
): Promise<Growth | undefined> {
  const server = await start();
  const swept = async () => {
    await collectGarbage(server.debugger ?? '');
    return residentMiB(server.pid);
  };
  const before = await swept();
  const job: IdleLoad = { ...load, url: `http://127.0.0.1:${server.port}/bench.Service/Watch` };
  const args = [join(root, 'bench/load/idle.ts'), JSON.stringify(job)];
  const client = await stage.start('client', { command: process.execPath, args }, /^open\n/m);
  const unswept = residentMiB(server.pid);
  const after = await swept();
  const cpuBefore = cpuTimeOf(server.pid);
  await wait(settleMs);
  const cpuAfter = cpuTimeOf(server.pid);
  await client.stop();
  await server.stop();
  if (before === undefined || after === undefined || unswept === undefined) return undefined;
  if (cpuBefore === undefined || cpuAfter === undefined) return undefined;
  return {
    residentMiB: after - before,
    unsweptMiB: unswept - before,
    cpuMs: (cpuAfter - cpuBefore) / settleMs,
  };
}

function figuresOf(what: string, found: Growth | undefined, count: number, atMost?: number): Figure[] {
  if (found === undefined) return [];
  const per = 1000 / count;
  const target = atMost === undefined ? undefined : ({ is: 'at most', value: atMost } as const);
  return [
    { what, unit: 'MiB', target, ...once(found.residentMiB) },
    { what: '  with the garbage of opening them', unit: 'MiB', target, ...once(found.unsweptMiB) },
    { what: '  per 1,000', unit: 'MiB', target: undefined, ...once(found.residentMiB * per) },
    { what: '  per 1,000, processor time in a second', unit: 'ms', target: undefined, ...once(found.cpuMs * per) },
  ];
}

function once(value: number): Pick<Figure, 'min' | 'median' | 'max'> {
  return { min: value, median: value, max: value };
}
