import type { Config } from '../config/config.ts';
import { type Mistake, writePath } from '../config/mistake.ts';
import { isLoopback } from '../config/urls.ts';
import { isWithin } from '../server/app-origins.ts';
import { type CheckName, type Finding, ok, problem, unknown, warning } from './finding.ts';

/** What `check-config` would say, each under the check that it belongs to. */
export function judgeMistakes(mistakes: readonly Mistake[]): readonly Finding[] {
  return mistakes.map(({ path, line, expected, found, hint }) => {
    const where = path.length === 0 ? 'the file' : writePath(path);
    const at = line === undefined ? where : `line ${line}, ${where}`;
    const what = `${at}: expected ${expected}${found === undefined ? '' : `, found ${found}`}`;
    return problem(checkOf(path.join('.')), what, hint ?? 'put it right: config/README.md has every setting');
  });
}

function checkOf(path: string): CheckName {
  if (path.includes('cookieSetting') || path.includes('insecureCookieHeader')) return 'cookies';
  if (/secret/i.test(path) || /^upstreams\..*\.identityHeaders$/.test(path)) return 'secret-files';
  return path === 'server.publicUrl' || path === 'auth.authorizedUris' ? 'public-url' : 'settings';
}

/**
 * Whether browsers keep the session cookie. Where they do not, signing in goes round in circles.
 *
 * @see RFC 6265bis §5.7: Secure cookies are dropped at http:, those of a foreign domain everywhere
 */
export function judgeCookies({ server, auth }: Config): readonly Finding[] {
  const { insecureCookieHeader } = server.security;
  const { domain, sameSitePolicy } = auth.userAuth.cookieSetting;
  const isHttps = server.publicUrl.startsWith('https:');
  const found: Finding[] = [];
  if (insecureCookieHeader && isHttps)
    found.push(
      warning(
        'cookies',
        'cookies are sent without Secure, though the public URL is https',
        'leave server.security.insecureCookieHeader out',
      ),
    );
  const lost = auth.authorizedUris.slice(1).filter((uri) => !isKept(uri, { insecureCookieHeader, domain }));
  if (lost.length > 0)
    found.push(
      warning(
        'cookies',
        `browsers drop the cookie at ${list(lost)}: whoever signs in there goes round in circles`,
        'right for names that only services use; else use https there and a cookieSetting.domain that covers it',
      ),
    );
  const kind = domain === undefined ? 'for this host only' : `for ${domain}`;
  const summary = `${insecureCookieHeader ? 'without Secure' : 'Secure'}, ${kind}, ${sameSitePolicy}`;
  return found.length > 0 ? found : [ok('cookies', summary)];
}

function isKept(uri: string, cookie: { insecureCookieHeader: boolean; domain: string | undefined }): boolean {
  const { protocol, hostname } = new URL(uri);
  const isSecureEnough = cookie.insecureCookieHeader || protocol === 'https:' || isLoopback(hostname);
  const { domain } = cookie;
  const isCovered = domain === undefined || hostname === domain || hostname.endsWith(`.${domain}`);
  return isSecureEnough && isCovered;
}

/**
 * Whether people who sign in are signed in at the services that have a host of their own: sent back there without the cookie,
 * they would go round in circles, so they are not sent back at all.
 */
export function judgeAppHosts({ auth, routes }: Config): Finding {
  const { domain } = auth.userAuth.cookieSetting;
  const ours = new Set(auth.authorizedUris.map((uri) => new URL(uri).hostname));
  const guarded = routes.filter(({ host, access }) => access === 'authenticated' && host !== undefined);
  const hosts = [...new Set(guarded.map(({ host = '' }) => host))].filter((host) => !ours.has(host));
  const lost = hosts.filter((host) => !isWithin(host, domain));
  if (lost.length > 0)
    return warning(
      'app-hosts',
      `the session cookie does not reach ${list(lost)}: nobody is signed in there by a browser`,
      `right where only tokens are sent; else set auth.userAuth.cookieSetting.domain to a domain over ${[...ours][0]} and these`,
    );
  if (hosts.length > 0) return ok('app-hosts', `the cookie for ${domain} reaches ${list(hosts)}`);
  return ok('app-hosts', 'none: no service that people sign in for has a host of its own');
}

/** What the settings say about where browsers come, before anybody asks there. */
export function judgePublicUrl({ server, auth }: Config): readonly Finding[] {
  const { publicUrl } = server;
  const { protocol, host, hostname } = new URL(publicUrl);
  const found: Finding[] = [];
  const other = auth.authorizedUris.slice(1).filter((uri) => isSameHostOtherScheme(uri, { protocol, hostname }));
  if (other.length > 0)
    found.push(
      warning(
        'public-url',
        `${list(other)} in auth.authorizedUris is ${host} by another scheme`,
        'take it out, unless people use both: each signs in by a redirect URI of its own',
      ),
    );
  if (protocol === 'http:' && !isLoopback(hostname))
    found.push(
      warning(
        'public-url',
        'the public URL is http: whoever is on the way can take sessions',
        'where TLS ends in front of the gateway, the public URL is still the https one that browsers show',
      ),
    );
  return found;
}

function isSameHostOtherScheme(uri: string, of: { protocol: string; hostname: string }): boolean {
  const { protocol, hostname } = new URL(uri);
  return hostname === of.hostname && protocol !== of.protocol && !isLoopback(hostname);
}

/**
 * Whether tokens will be for us, as far as that shows before one is seen.
 *
 * @param audiences that are accepted
 */
export function judgeAudience({ auth }: Config, audiences: ReadonlySet<string>): Finding {
  const { audience } = auth.appAuth.thirdPartyConfig.flyteClient;
  if (audience !== undefined && !audiences.has(audience))
    return problem(
      'audience',
      `the SDK is told to ask for the audience ${audience}, which is not accepted here`,
      `put it into auth.appAuth.externalAuthServer.allowedAudience`,
    );
  const { allowedAudience } = auth.appAuth.externalAuthServer;
  if (audience !== undefined) return ok('audience', `the SDK asks for ${audience}, which is accepted`);
  if (allowedAudience.length > 0)
    return ok('audience', `accepted besides the authorized URIs: ${list(allowedAudience)}`);
  return unknown(
    'audience',
    'tokens have to name the public URL or another authorized URI in aud: nothing else is allowed',
    "with --client-id and --secret-file a real token is looked at; what it says instead (Okta's api://default, Keycloak's account) goes into auth.appAuth.externalAuthServer.allowedAudience",
  );
}

/** Which header clients and services have to send their token in. Flyte's own default is `flyte-authorization`. */
export function judgeCredentialHeader({ auth }: Config): Finding {
  const { grpcAuthorizationHeader: grpc, httpAuthorizationHeader: http } = auth;
  if (grpc === http && grpc === 'flyte-authorization')
    return ok('credential-header', 'tokens are read from flyte-authorization, else from authorization');
  return warning(
    'credential-header',
    `tokens are read from ${[...new Set([grpc, http, 'authorization'])].join(', ')}, and Flyte's services send flyte-authorization unless told otherwise`,
    `set authorizationMetadataKey and authorizationHeader of the services to ${grpc}, or leave the settings out here`,
  );
}

/** At most five of them. */
export function list(items: readonly string[]): string {
  const shown = items.slice(0, 5).join(', ');
  return items.length > 5 ? `${shown} and ${items.length - 5} more` : shown;
}
