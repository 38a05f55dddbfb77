import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import type { Figure, Result } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { quantile, spreadOf } from '../statistics.ts';
import { startBare, startHttpUpstream } from '../upstream.ts';

const connections = 64;
const about = { name: 'latency', title: 'latency at half of what the gateway can forward', rows: [] } as const;

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** How much longer an answer takes through the gateway than straight from the upstream, at half of the gateway's peak. */
export async function measureLatency(stage: Stage, site: Site): Promise<Result> {
  const { h2load } = stage.tools;
  if (h2load === undefined) return { ...about, figures: [], notes: ['h2load is not installed'], turns: {} };
  const upstream = await startHttpUpstream(stage);
  const [gateway, bare] = await Promise.all([
    startGateway(stage, site, { upstream, log: { level: 'info', requests: false } }),
    startBare(stage, 'bare/forward.ts', upstream),
  ]);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const headers = { accept: '*/*', cookie };
  const urls = {
    straight: `${upstream}/api/thing`,
    bare: `http://127.0.0.1:${bare.port}/api/thing`,
    gateway: `http://127.0.0.1:${gateway.port}/api/thing`,
  };
  for (const url of Object.values(urls)) {
    const { status } = await ask(url, headers);
    if (status !== 200) throw new Error(`${url} answered ${status}`);
  }
  const { warmUpS, seconds, rounds } = stage.options;
  if (warmUpS > 0) await loadHttp(stage, { url: urls.bare, headers, connections }, warmUpS);
  const peak = await loadHttp(stage, { url: urls.gateway, headers, connections }, warmUpS + seconds);
  const perConnection = Math.max(1, Math.round(peak / 2 / connections));
  const turns: Record<keyof typeof urls, Latency>[] = [];
  for (let round = 0; round < rounds; round++) {
    const at = (url: string) => latencyOf(stage, h2load, { url, headers, perConnection });
    turns.push({ straight: await at(urls.straight), bare: await at(urls.bare), gateway: await at(urls.gateway) });
  }
  const figure = (what: string, read: (turn: (typeof turns)[number]) => number, atMost?: number): Figure => ({
    what,
    unit: 'ms',
    target: atMost === undefined ? undefined : { is: 'at most', value: atMost },
    ...spreadOf(turns.map(read)),
  });
  return {
    ...about,
    figures: [
      figure('p50, straight to the upstream', ({ straight }) => straight.p50),
      figure('p99, straight to the upstream', ({ straight }) => straight.p99),
      figure('p50 that the gateway adds', (turn) => turn.gateway.p50 - turn.straight.p50),
      figure('p99 that the gateway adds', (turn) => turn.gateway.p99 - turn.straight.p99, 1),
      figure('p50 that the barest undici forward adds', (turn) => turn.bare.p50 - turn.straight.p50),
      figure('p99 that the barest undici forward adds', (turn) => turn.bare.p99 - turn.straight.p99),
    ],
    notes: [`${perConnection * connections} requests in a second, ${connections} connections`],
    turns: { turns },
  };
}

type Headers = Readonly<Record<string, string>>;

async function latencyOf(
  stage: Stage,
  command: string,
  load: { url: string; headers: Headers; perConnection: number },
): Promise<Latency> {
  const file = join(stage.folder, 'latency.log');
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const pace = ['--h1', '-t1', `-c${connections}`, `--rps=${load.perConnection}`, `-D${stage.options.seconds}`];
  await stage.run({ command, args: [...pace, `--log-file=${file}`, ...headers, load.url] });
  const sorted: number[] = [];
  for (const line of (await readFile(file, 'latin1')).split('\n')) {
    const [, status = '', tookUs = ''] = line.split('\t');
    if (status === '200') sorted.push(Number(tookUs) / 1000);
    else if (line !== '') throw new Error(`${load.url} answered ${status}`);
  }
  sorted.sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}
