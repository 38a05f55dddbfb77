import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { startNginx } from '../nginx.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { startBare, startHttpUpstream } from '../upstream.ts';

const connections = 64;

/** A GET for 1 KB with a session's cookie, forwarded, beside the barest forward that undici can do. */
export async function measureForward(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startHttpUpstream(stage);
  const [quiet, logging, bare] = await Promise.all([
    startGateway(stage, site, { upstream, log: { level: 'info', requests: false } }),
    startGateway(stage, site, { upstream, log: { level: 'info', requests: true } }),
    startBare(stage, 'bare/forward.ts', upstream),
  ]);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const headers = { accept: '*/*', 'user-agent': 'bench', cookie };
  const contestants: Contestant[] = [];
  const enter = async (name: string, server: { pid: number; port: number }) => {
    const url = `http://127.0.0.1:${server.port}/api/thing`;
    const { status, body } = await ask(url, headers);
    if (status !== 200 || body.length !== 1024) throw new Error(`${name} answered ${status}: ${body}`);
    const load = (seconds: number) => loadHttp(stage, { url, headers, connections }, seconds);
    contestants.push({ name, pids: [server.pid], load });
  };
  await enter('barest undici forward', bare);
  await enter('forward', quiet);
  await enter('forward, request log on', logging);
  const { nginx: path } = stage.tools;
  if (path !== undefined) await enter('nginx, proxy_pass', await startProxy(stage, path, upstream));
  const turns = await race(contestants, stage.options);
  return resultOf({ name: 'forward', title: `GET of 1 KB, forwarded, ${connections} connections` }, turns, [
    { over: 'forward', under: 'barest undici forward', target: 0.85 },
    { over: 'forward, request log on', under: 'barest undici forward', target: 0.7 },
    { over: 'forward', under: 'nginx, proxy_pass' },
  ]);
}

function startProxy(stage: Stage, path: string, upstream: string): Promise<{ pid: number; port: number }> {
  return startNginx(stage, 'server', {
    path,
    http: `upstream up { server ${new URL(upstream).host}; keepalive 128; keepalive_requests 1000000000; }`,
    server: 'location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }',
  });
}
