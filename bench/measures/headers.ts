import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { startBare, startHttpUpstream } from '../upstream.ts';

const connections = 64;
/** The gateway takes 200 unless told otherwise. */
const counts = [5, 50, 190] as const;

/** A forwarded GET with few and with many header fields, beside the barest undici forward of the same. */
export async function measureHeaders(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startHttpUpstream(stage);
  const [gateway, bare] = await Promise.all([
    startGateway(stage, site, { upstream, log: { level: 'info', requests: false } }),
    startBare(stage, 'bare/forward.ts', upstream),
  ]);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const contestants: Contestant[] = [];
  for (const count of counts) {
    const headers = fieldsOf(count, cookie);
    for (const { name, pid, port } of [
      { name: bareOf(count), ...bare },
      { name: forwardOf(count), ...gateway },
    ]) {
      const url = `http://127.0.0.1:${port}/api/thing`;
      const { status, body } = await ask(url, headers);
      if (status !== 200 || body.length !== 1024) throw new Error(`${name} answered ${status}: ${body}`);
      const load = (seconds: number) => loadHttp(stage, { url, headers, connections }, seconds);
      contestants.push({ name, pids: [pid], load });
    }
  }
  const turns = await race(contestants, stage.options);
  return resultOf(
    { name: 'headers', title: `GET of 1 KB with many header fields, forwarded, ${connections} connections` },
    turns,
    [
      ...counts.map((count) => ({ over: forwardOf(count), under: bareOf(count) })),
      ...counts.slice(1).map((count) => ({ over: forwardOf(count), under: forwardOf(counts[0]) })),
    ],
  );
}

/**
 * Fields of a request: those that all have here, and more of 36 bytes each that nobody knows.
 *
 * @param count at least 4; the `Host` that the load generator adds is one of them
 */
export function fieldsOf(count: number, cookie: string): Readonly<Record<string, string>> {
  const common = { accept: '*/*', 'user-agent': 'bench', cookie };
  const others = Array.from({ length: count - Object.keys(common).length - 1 }, (_, i) => [
    `x-bench-${String(i).padStart(3, '0')}`,
    'v'.repeat(21),
  ]);
  return { ...common, ...Object.fromEntries(others) };
}

function bareOf(count: number): string {
  return `barest undici forward, ${count} fields`;
}

function forwardOf(count: number): string {
  return `forward, ${count} fields`;
}
