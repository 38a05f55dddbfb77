import { checkRedis } from './agreement-redis.ts';
import { checkUpstreams } from './agreement-upstreams.ts';
import { checkWays } from './agreement-ways.ts';
import { checkWorkers } from './agreement-workers.ts';
import type { Mistake, Path } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';
import { isLoopback } from './urls.ts';

/**
 * What is wrong between settings that are each right by themselves. Settings that could not be read are left out, so that
 * one mistake isn't told twice.
 */
export function findDisagreements(draft: SettingsDraft): readonly Mistake[] {
  return [
    ...checkServer(draft),
    ...checkWorkers(draft),
    ...checkCookies(draft),
    ...checkIssuers(draft),
    ...checkSignIn(draft),
    ...checkWays(draft),
    ...checkTimes(draft),
    ...checkRedis(draft),
    ...checkHeaders(draft),
    ...checkUpstreams(draft),
    ...checkRoutes(draft),
  ];
}

function* checkServer({ server }: SettingsDraft): Iterable<Mistake> {
  const { publicUrl, listen, admin, tls, security, limits } = server;
  if (
    publicUrl?.startsWith('http:') &&
    security.insecureCookieHeader === false &&
    !isLoopback(new URL(publicUrl).hostname)
  ) {
    const hint =
      'without TLS everybody on the way can take the session; to accept that, set server.security.insecureCookieHeader: true';
    yield { path: ['server', 'publicUrl'], expected: 'https:, or http: on a loopback host', found: publicUrl, hint };
  }
  if (listen && admin && listen.port !== 0 && listen.port === admin.port && canClash(listen.host, admin.host)) {
    yield {
      path: ['server', 'admin'],
      expected: 'an address of its own',
      found: `that of server.listen, port ${admin.port}`,
    };
  }
  const { streamWindow, connectionWindow } = limits;
  if (streamWindow !== undefined && connectionWindow !== undefined && connectionWindow < streamWindow) {
    yield {
      path: ['server', 'limits', 'connectionWindow'],
      expected: 'at least server.limits.streamWindow',
      found: `${connectionWindow} bytes, where that is ${streamWindow}`,
    };
  }
  if (Boolean(tls.certFile) !== Boolean(tls.keyFile)) {
    const missing = tls.certFile ? 'keyFile' : 'certFile';
    yield { path: ['server', 'tls', missing], expected: 'certFile and keyFile together, or neither', found: 'nothing' };
  }
}

function canClash(a: string, b: string): boolean {
  return a === b || [a, b].some((host) => host === '0.0.0.0' || host === '::');
}

function* checkCookies({ server, auth }: SettingsDraft): Iterable<Mistake> {
  const path = ['auth', 'userAuth', 'cookieSetting'];
  const { sameSitePolicy, domain } = auth.userAuth.cookieSetting;
  if (sameSitePolicy === 'NoneMode' && server.security.insecureCookieHeader) {
    const hint = 'browsers drop SameSite=None cookies without Secure: leave server.security.insecureCookieHeader out';
    yield {
      path: [...path, 'sameSitePolicy'],
      expected: 'DefaultMode, LaxMode or StrictMode where cookies are not Secure',
      found: sameSitePolicy,
      hint,
    };
  }
  const host = server.publicUrl && new URL(server.publicUrl).hostname;
  const covering = domain?.replace(/^\./, '').toLowerCase();
  if (host && covering && host !== covering && !host.endsWith(`.${covering}`)) {
    yield {
      path: [...path, 'domain'],
      expected: `a domain that ${host} is in: browsers drop the cookie otherwise`,
      found: covering,
    };
  }
}

function* checkIssuers({ auth, serviceApp }: SettingsDraft): Iterable<Mistake> {
  if (auth.allowHttpIssuer !== false) return;
  const { openId } = auth.userAuth;
  const external = auth.appAuth.externalAuthServer;
  const urls: readonly (readonly [Path, string | undefined])[] = [
    [['auth', 'userAuth', 'openId', 'baseUrl'], openId.baseUrl],
    [['auth', 'userAuth', 'openId', 'issuerUrl'], openId.issuerUrl],
    [['auth', 'appAuth', 'externalAuthServer', 'baseUrl'], external.baseUrl],
    [['auth', 'appAuth', 'externalAuthServer', 'metadataUrl'], external.metadataUrl],
    [['serviceApp', 'tokenUrl'], serviceApp.tokenUrl],
  ];
  for (const [path, url] of urls) {
    if (!url || !/^http:/i.test(url) || isLoopback(new URL(url).hostname)) continue;
    const hint =
      'whoever controls the network would then say who is who, and read secrets; to accept that, set auth.allowHttpIssuer: true';
    yield { path, expected: 'https:, or http: on a loopback host', found: url, hint };
  }
}

function* checkSignIn({ server, auth }: SettingsDraft): Iterable<Mistake> {
  const { redirectUrl, openId } = auth.userAuth;
  const origins = server.publicUrl && auth.authorizedUris ? [server.publicUrl, ...auth.authorizedUris] : undefined;
  if (redirectUrl && !redirectUrl.startsWith('/') && origins && !origins.includes(new URL(redirectUrl).origin)) {
    const hint = 'its origin is neither server.publicUrl nor one of auth.authorizedUris';
    yield {
      path: ['auth', 'userAuth', 'redirectUrl'],
      expected: 'a path, or a URL under an authorized URI',
      found: redirectUrl,
      hint,
    };
  }
  if (openId.scopes && !openId.scopes.includes('openid')) {
    const found = openId.scopes.join(' ') || 'an empty list';
    yield {
      path: ['auth', 'userAuth', 'openId', 'scopes'],
      expected: 'openid among the scopes: without it there is no sign-in',
      found,
    };
  }
  const proxies: readonly (readonly [Path, string | undefined])[] = [
    [['auth', 'httpProxyURL'], auth.httpProxyURL],
    [['auth', 'userAuth', 'httpProxyURL'], auth.userAuth.httpProxyURL],
    [['auth', 'appAuth', 'externalAuthServer', 'httpProxyURL'], auth.appAuth.externalAuthServer.httpProxyURL],
  ];
  const first = proxies.find(([, url]) => url !== undefined)?.[1];
  for (const [path, url] of proxies) {
    if (url !== undefined && url !== first)
      yield { path, expected: `the one proxy that all requests to the provider take, ${first}`, found: url };
  }
}

function* checkTimes({ session }: SettingsDraft): Iterable<Mistake> {
  const { idle, absolute } = session;
  if (idle !== undefined && absolute !== undefined && absolute < idle) {
    yield {
      path: ['session', 'absolute'],
      expected: 'no less than session.idle',
      found: `${absolute / 1000}s, with an idle limit of ${idle / 1000}s`,
    };
  }
}

function* checkHeaders({ auth, identityHeaders }: SettingsDraft): Iterable<Mistake> {
  const credentials = [auth.grpcAuthorizationHeader, auth.httpAuthorizationHeader].filter((name) => name !== undefined);
  for (const [at, prefix] of (identityHeaders.strip ?? []).entries()) {
    const harmed = credentials.find((name) => name.replaceAll('_', '-').startsWith(prefix));
    if (harmed)
      yield {
        path: ['identityHeaders', 'strip', at],
        expected: 'a prefix that spares the credentials',
        found: prefix,
        hint: `that would strip ${harmed}`,
      };
  }
  const seen = new Set<string>();
  for (const [at, claim] of (identityHeaders.claims ?? []).entries()) {
    const header = claim.toLowerCase().replaceAll('_', '-');
    if (seen.has(header))
      yield {
        path: ['identityHeaders', 'claims', at],
        expected: 'claims whose headers differ in more than case and _',
        found: claim,
      };
    seen.add(header);
  }
}

function* checkRoutes({ upstreams, routes }: SettingsDraft): Iterable<Mistake> {
  const names = Object.keys(upstreams);
  const seen = new Map<string, number>();
  for (const [at, route] of routes.entries()) {
    if (route.upstream !== undefined && names.length > 0 && !names.includes(route.upstream)) {
      const found = JSON.stringify(route.upstream);
      yield {
        path: ['routes', at, 'upstream'],
        expected: 'the name of an upstream',
        found,
        hint: `there are ${names.slice(0, 10).join(', ')}`,
      };
    }
    if (route.path === undefined) continue;
    const place = `${route.host ?? ''} ${route.path}`;
    const earlier = seen.get(place);
    if (earlier === undefined) seen.set(place, at);
    else
      yield {
        path: ['routes', at, 'path'],
        expected: 'one route for each host and path',
        found: route.path,
        hint: `routes[${earlier}] has it already`,
      };
  }
}
