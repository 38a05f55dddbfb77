import type { RouteSetting } from '../config/config.ts';

/** Origins of services that have a host of their own, and share the session of people who sign in at the gateway's. */
export interface AppOrigins {
  /** The origin of a Host that names one; the default port of its scheme may be there or not. */
  originFor(host: string): string | undefined;
  /** @param origin as in an Origin field */
  has(origin: string): boolean;
}

export interface AppOriginsNeeds {
  /** Browsers reach the services by its scheme and port. */
  readonly publicUrl: string;
  /** Of the session cookie, without a leading dot; absent: no other host has it. */
  readonly cookieDomain?: string | undefined;
  readonly routes: readonly Pick<RouteSetting, 'host' | 'access'>[];
}

/**
 * A host is one of them when an authenticated route names it and the session cookie reaches it: sent back to any other,
 * people would go round in circles. A wildcard names hosts with one label in its place, as in a certificate (RFC 9525 §6.3),
 * and none that has routes of its own.
 */
export function createAppOrigins({ publicUrl, cookieDomain, routes }: AppOriginsNeeds): AppOrigins {
  const { protocol, port } = new URL(publicUrl);
  const named = new Set(routes.map(({ host }) => host));
  const ours = routes.filter(({ host, access }) => access === 'authenticated' && isWithin(host, cookieDomain));
  const patterns = new Set(ours.map(({ host }) => host));
  // A URL may have a `*` in its host: that is no name.
  const isApp = (name: string): boolean =>
    !name.includes('*') && patterns.has(named.has(name) ? name : name.replace(firstLabel, '*'));
  const has = (origin: string): boolean => {
    const url = URL.parse(origin);
    return url?.origin === origin && url.protocol === protocol && url.port === port && isApp(url.hostname);
  };
  return {
    has,
    originFor: (host) => {
      const origin = originAt(protocol, host);
      return origin !== undefined && has(origin) ? origin : undefined;
    },
  };
}

/**
 * The origin of pages that a Host serves, as browsers write it (RFC 6454 §6.2). Where the public URL is https, so is this: a
 * page that came without TLS is anybody's, also where the gateway cannot see that a proxy in front had none.
 *
 * @returns undefined for a Host that is none
 */
export function ownOrigin(host: string, publicUrl: string, scheme: 'http' | 'https'): string | undefined {
  return originAt(publicUrl.startsWith('https:') ? 'https:' : `${scheme}:`, host);
}

function originAt(protocol: string, host: string): string | undefined {
  return URL.parse(`${protocol}//${host}`)?.origin;
}

const firstLabel = /^[a-z\d](?:[a-z\d-]*[a-z\d])?(?=\.)/;

/** Whether a cookie of this domain goes to a host that a route names, with a wildcard to every one. */
export function isWithin(host: string | undefined, domain: string | undefined): boolean {
  if (host === undefined || domain === undefined) return false;
  const name = host.replace(/^\*\./, '');
  return name === domain || name.endsWith(`.${domain}`);
}
