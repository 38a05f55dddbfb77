import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { startHttpUpstream } from '../upstream.ts';

const connections = 64;
const counts = [1, 100, 10_000] as const;

/** The same forwarded GET through gateways that differ in the number of their routes only. */
export async function measureRoutes(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startHttpUpstream(stage);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const contestants: Contestant[] = [];
  for (const count of counts) {
    const { routes, asked } = routesOf(count);
    const { pid, port } = await startGateway(stage, site, {
      upstream,
      routes,
      log: { level: 'info', requests: false },
    });
    const url = `http://127.0.0.1:${port}${asked.path}/thing`;
    // In capitals, or wrk adds a second one.
    const headers = { Host: asked.host, accept: '*/*', 'user-agent': 'bench', cookie };
    const { status, body } = await ask(url, headers);
    if (status !== 200 || body.length !== 1024) throw new Error(`${nameOf(count)} answered ${status}: ${body}`);
    const load = (seconds: number) => loadHttp(stage, { url, headers, connections }, seconds);
    contestants.push({ name: nameOf(count), pids: [pid], load });
  }
  const turns = await race(contestants, stage.options);
  return resultOf(
    { name: 'routes', title: `GET of 1 KB, forwarded by one of many routes, ${connections} connections` },
    turns,
    counts.slice(1).map((count) => ({ over: nameOf(count), under: nameOf(1) })),
  );
}

/**
 * Routes for as many paths on each host as there are hosts, and the one in their middle, which is asked for. Its host and
 * path are as long as all others, whatever the count.
 *
 * @param count a square number, 1 to 10,000
 */
export function routesOf(count: number): { readonly routes: readonly Where[]; readonly asked: Where } {
  const side = Math.sqrt(count);
  const at = (host: number, path: number): Where => ({ host: `h${digits(host)}.test`, path: `/p${digits(path)}` });
  const numbers = Array.from({ length: side }, (_, i) => i);
  const middle = Math.floor(side / 2);
  return { routes: numbers.flatMap((host) => numbers.map((path) => at(host, path))), asked: at(middle, middle) };
}

interface Where {
  readonly host: string;
  readonly path: string;
}

// Short: 10,000 routes must fit into the one MiB that a settings file may have.
function digits(number: number): string {
  return String(number).padStart(2, '0');
}

function nameOf(count: number): string {
  return count === 1 ? '1 route' : `${count} routes`;
}
