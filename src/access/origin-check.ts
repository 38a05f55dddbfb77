import type { Credential } from '../authenticate/credential.ts';
import type { Fields } from '../server/request-head.ts';

/** What of a request its origin is judged by. */
export interface OriginFacts {
  readonly method: string;
  readonly isWebSocket: boolean;
  readonly fields: Fields;
}

/**
 * Whether a request is refused because a page of another origin made a browser send it: an unsafe method or a WebSocket
 * handshake, with nothing but a cookie for credential, and an `Origin` (without one, `Sec-Fetch-Site`) that is not an
 * authorized URI's. A bearer token is never sent by itself, so it stands for its own origin.
 *
 * @param isAuthorized whether an origin, as browsers write it, is an authorized URI
 * @see RFC 6454 §7.3: `null` is an origin that nobody vouches for
 */
export function isOriginRefused(
  request: OriginFacts,
  credential: Credential['kind'],
  isAuthorized: (origin: string) => boolean,
): boolean {
  if (credential !== 'session') return false;
  if (SAFE_METHODS.has(request.method) && !request.isWebSocket) return false;
  return isForeignOrigin(request.fields, isAuthorized);
}

/**
 * Whether a request says that another origin's page made it: by `Origin`, or without one by `Sec-Fetch-Site`. Silence is
 * what callers other than browsers keep, and no sign of another origin.
 */
export function isForeignOrigin(fields: Fields, isAuthorized: (origin: string) => boolean): boolean {
  const origins = fields.all('origin');
  if (origins.length > 0) return origins.length > 1 || !origins.every((origin) => isAuthorized(origin));
  return !fields.all('sec-fetch-site').every((site) => site === 'same-origin' || site === 'none');
}

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
