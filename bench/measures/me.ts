import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Answer, ask } from '../ask.ts';
import { type RunningGateway, type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { startNginx } from '../nginx.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';

const connections = 64;
const cookieBytes = 2048;

/** `/me`, allowed from the cache, beside a bare node:http server that says the same to the same requests. */
export async function measureMe(stage: Stage, site: Site): Promise<Result> {
  const [quiet, talkative] = await Promise.all([
    startGateway(stage, site, { log: { level: 'info', requests: true } }),
    startGateway(stage, site, { log: { level: 'debug', requests: true } }),
  ]);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', cookieBytes)}`;
  const token = await site.provider.token();
  // In capitals, or wrk adds a second one.
  const common = { Host: 'localhost', accept: '*/*', 'user-agent': 'bench' };
  const byCookie = { ...common, cookie };
  const byBearer = { ...common, 'flyte-authorization': `Bearer ${token}` };
  const contestants: Contestant[] = [
    await bare(stage, { name: 'bare node:http, cookie', headers: byCookie, as: quiet }),
    meOf(stage, { name: '/me, cookie', headers: byCookie, gateway: quiet }),
    meOf(stage, { name: '/me, cookie, every check logged', headers: byCookie, gateway: talkative }),
    await bare(stage, { name: 'bare node:http, bearer', headers: byBearer, as: quiet }),
    meOf(stage, { name: '/me, bearer', headers: byBearer, gateway: quiet }),
    ...(await nginx(stage, byCookie)),
  ];
  const turns = await race(contestants, stage.options);
  return resultOf({ name: 'me', title: `/me allowed from the cache, ${connections} connections` }, turns, [
    { over: '/me, cookie', under: 'bare node:http, cookie', target: 0.8 },
    { over: '/me, bearer', under: 'bare node:http, bearer', target: 0.8 },
    { over: '/me, cookie, every check logged', under: 'bare node:http, cookie' },
  ]);
}

type Headers = Readonly<Record<string, string>>;

function meOf(stage: Stage, of: { name: string; headers: Headers; gateway: RunningGateway }): Contestant {
  const url = `http://127.0.0.1:${of.gateway.port}/me`;
  return {
    name: of.name,
    pids: [of.gateway.pid],
    load: (seconds) => loadHttp(stage, { url, headers: of.headers, connections }, seconds),
  };
}

/** Learns the answer from the gateway itself, so that both write the same. */
async function bare(stage: Stage, of: { name: string; headers: Headers; as: RunningGateway }): Promise<Contestant> {
  const answer = await ask(`http://127.0.0.1:${of.as.port}/me`, of.headers);
  if (answer.status !== 200) throw new Error(`/me answered ${answer.status}: ${answer.body}`);
  const file = join(stage.folder, `${of.name.replaceAll(/\W/g, '-')}.json`);
  await writeFile(file, JSON.stringify({ fields: fieldsOfOurs(answer), body: answer.body }), 'latin1');
  const program = { command: process.execPath, args: [join(import.meta.dirname, '../bare/http.ts'), file] };
  const { pid, ready } = await stage.start('server', program, /listens on (\d+)\n/);
  const url = `http://127.0.0.1:${ready[1]}/me`;
  const same = await ask(url, of.headers);
  if (same.body !== answer.body) throw new Error('the bare server says something else');
  return {
    name: of.name,
    pids: [pid],
    load: (seconds) => loadHttp(stage, { url, headers: of.headers, connections }, seconds),
  };
}

/** Without those that Node adds by itself. */
function fieldsOfOurs({ fields }: Answer): string[] {
  return fields.filter((_part, i) => !/^(?:date|connection|keep-alive)$/i.test(fields[i - (i % 2)] ?? ''));
}

async function nginx(stage: Stage, headers: Headers): Promise<Contestant[]> {
  const { nginx: path } = stage.tools;
  if (path === undefined) return [];
  const { pid, port } = await startNginx(stage, 'server', { path, server: 'location / { return 204; }' });
  const url = `http://127.0.0.1:${port}/me`;
  return [
    {
      name: 'nginx, return 204',
      pids: [pid],
      load: (seconds) => loadHttp(stage, { url, headers, connections }, seconds),
    },
  ];
}
