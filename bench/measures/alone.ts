import { ask } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { loadHttp } from '../load/http.ts';
import { startNginx } from '../nginx.ts';
import { startOauth2Proxy } from '../oauth2-proxy.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import { sessionCookieName } from '../sessions.ts';
import type { Stage } from '../stage.ts';
import { startHttpUpstream } from '../upstream.ts';

const connections = 64;
const about = {
  name: 'alone',
  title: `the gateway alone, and nginx that asks, same upstream, ${connections} connections`,
};
const names = {
  alone: 'gateway alone',
  asking: 'nginx + auth_request to a gateway',
  byHead: 'nginx + auth_request by HEAD to a gateway',
  other: 'nginx + auth_request to oauth2-proxy',
} as const;

/**
 * The gateway that forwards by itself, beside nginx that forwards and asks about every request: a gateway, and oauth2-proxy
 * where there is one. nginx's own cache is off. All have the same processor, and all of it. A gateway is asked by HEAD, too:
 * nginx closes the connection of a check whose answer has a body, which oauth2-proxy's has not.
 */
export async function measureAlone(stage: Stage, site: Site): Promise<Result> {
  const { nginx, oauth2Proxy } = stage.tools;
  if (nginx === undefined) return { ...about, rows: [], figures: [], notes: ['nginx is not installed'], turns: {} };
  const upstream = await startHttpUpstream(stage);
  const cookie = `${sessionCookieName}=${await site.sessions.seal('ada', 1024)}`;
  const entries = [
    ...(await gateways(stage, site, { nginx, upstream, cookie })),
    ...(oauth2Proxy === undefined ? [] : [await other(stage, site, { nginx, oauth2Proxy, upstream })]),
  ];
  const contestants: Contestant[] = [];
  for (const entry of entries) contestants.push(await enter(stage, entry));
  const notes = oauth2Proxy === undefined ? ['oauth2-proxy is not installed'] : [];
  return resultOf({ ...about, notes }, await race(contestants, stage.options), [
    { over: names.alone, under: names.asking },
    { over: names.alone, under: names.byHead, target: 1.5 },
    { over: names.alone, under: names.other },
    { over: names.byHead, under: names.other },
  ]);
}

interface Entry {
  readonly name: string;
  readonly pids: readonly number[];
  readonly port: number;
  readonly cookie: string;
}

async function gateways(
  stage: Stage,
  site: Site,
  { nginx, upstream, cookie }: { nginx: string; upstream: string; cookie: string },
): Promise<Entry[]> {
  const log = { level: 'info', requests: false } as const;
  const [alone, asked] = await Promise.all([
    startGateway(stage, site, { upstream, log }),
    startGateway(stage, site, { upstream, log, trustedProxies: ['127.0.0.1/32'] }),
  ]);
  const asking = { nginx, upstream, port: asked.port, check: '/me' };
  const [front, byHead] = await Promise.all([
    startFront(stage, asking),
    startFront(stage, { ...asking, method: 'proxy_method HEAD;' }),
  ]);
  return [
    { name: names.alone, pids: [alone.pid], port: alone.port, cookie },
    { name: names.asking, pids: [front.pid, asked.pid], port: front.port, cookie },
    { name: names.byHead, pids: [byHead.pid, asked.pid], port: byHead.port, cookie },
  ];
}

async function other(
  stage: Stage,
  { provider }: Site,
  { nginx, oauth2Proxy, upstream }: { nginx: string; oauth2Proxy: string; upstream: string },
): Promise<Entry> {
  const { pid, port, check, cookie } = await startOauth2Proxy(stage, oauth2Proxy, provider);
  const front = await startFront(stage, { nginx, upstream, port, check });
  return { name: names.other, pids: [front.pid, pid], port: front.port, cookie };
}

/** @throws {Error} when the one who is signed in is not let through, or a stranger is */
async function enter(stage: Stage, { name, pids, port, cookie }: Entry): Promise<Contestant> {
  const url = `http://127.0.0.1:${port}/api/thing`;
  const headers = { accept: '*/*', 'user-agent': 'bench', cookie };
  const { status, body } = await ask(url, headers);
  if (status !== 200 || body.length !== 1024) throw new Error(`${name} answered ${status}: ${body}`);
  const stranger = await ask(url, { accept: '*/*' });
  if (stranger.status !== 401) throw new Error(`${name} answered a stranger with ${stranger.status}`);
  return { name, pids, load: (seconds) => loadHttp(stage, { url, headers, connections }, seconds) };
}

interface Front {
  /** nginx's executable. */
  readonly nginx: string;
  readonly upstream: string;
  /** Who is asked, on loopback, and for which path. */
  readonly port: number;
  readonly check: string;
  /** Directive for another method than the caller's. */
  readonly method?: string;
}

function startFront(stage: Stage, of: Front) {
  const keep = 'keepalive 128; keepalive_requests 1000000000;';
  return startNginx(stage, 'server', {
    path: of.nginx,
    http: `upstream up { server ${new URL(of.upstream).host}; ${keep} }
upstream asked { server 127.0.0.1:${of.port}; ${keep} }`,
    server: `location / {
  auth_request /_check; auth_request_set $user $upstream_http_x_auth_request_user;
  proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_set_header X-Auth-Request-User $user; proxy_set_header Authorization "";
}
location = /_check {
  internal; ${of.method ?? ''} proxy_pass http://asked${of.check}; proxy_http_version 1.1; proxy_pass_request_body off;
  proxy_set_header Content-Length ""; proxy_set_header Connection ""; proxy_set_header Host localhost;
}`,
  });
}
