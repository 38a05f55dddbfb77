import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { startNginx } from '../nginx.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { startHttpUpstream } from '../upstream.ts';

const connections = 64;
const about = {
  name: 'alone',
  title: `the gateway alone, and nginx that asks it, same upstream, ${connections} connections`,
};

/**
 * The gateway that forwards by itself, beside nginx that forwards and asks a gateway about every request; nginx's own cache
 * is off. Both have the same processor, and all of it.
 */
export async function measureAlone(stage: Stage, site: Site): Promise<Result> {
  const { nginx: path } = stage.tools;
  if (path === undefined) return { ...about, rows: [], figures: [], notes: ['nginx is not installed'], turns: {} };
  const upstream = await startHttpUpstream(stage);
  const log = { level: 'info', requests: false } as const;
  const [alone, asked] = await Promise.all([
    startGateway(stage, site, { upstream, log }),
    startGateway(stage, site, { upstream, log, trustedProxies: ['127.0.0.1/32'] }),
  ]);
  const front = await startFront(stage, { path, upstream, gateway: asked.port });
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const headers = { accept: '*/*', 'user-agent': 'bench', cookie };
  const contestants: Contestant[] = [];
  const enter = async (name: string, pids: readonly number[], port: number) => {
    const url = `http://127.0.0.1:${port}/api/thing`;
    const { status, body } = await ask(url, headers);
    if (status !== 200 || body.length !== 1024) throw new Error(`${name} answered ${status}: ${body}`);
    const stranger = await ask(url, { accept: '*/*' });
    if (stranger.status !== 401) throw new Error(`${name} answered a stranger with ${stranger.status}`);
    contestants.push({ name, pids, load: (seconds) => loadHttp(stage, { url, headers, connections }, seconds) });
  };
  await enter('gateway alone', [alone.pid], alone.port);
  await enter('nginx + auth_request', [front.pid, asked.pid], front.port);
  const turns = await race(contestants, stage.options);
  return resultOf(about, turns, [{ over: 'gateway alone', under: 'nginx + auth_request', target: 1.5 }]);
}

function startFront(stage: Stage, of: { path: string; upstream: string; gateway: number }) {
  const keep = 'keepalive 128; keepalive_requests 1000000000;';
  return startNginx(stage, 'server', {
    path: of.path,
    http: `upstream up { server ${new URL(of.upstream).host}; ${keep} }
upstream gateway { server 127.0.0.1:${of.gateway}; ${keep} }`,
    server: `location / {
  auth_request /_me; auth_request_set $user $upstream_http_x_auth_request_user;
  proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_set_header X-Auth-Request-User $user; proxy_set_header Authorization "";
}
location = /_me {
  internal; proxy_pass http://gateway/me; proxy_http_version 1.1; proxy_pass_request_body off;
  proxy_set_header Content-Length ""; proxy_set_header Connection ""; proxy_set_header Host localhost;
}`,
  });
}
