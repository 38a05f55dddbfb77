import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { personDigest } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { readCookies } from '../server/cookie.ts';
import { endSession } from '../session/end-session.ts';
import type { SessionLimits } from '../session/limits.ts';
import { handleOf } from '../session/marks.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { SessionStore } from '../session/store.ts';
import type { Client } from './client.ts';
import type { FindSession, FoundSession } from './find-session.ts';
import type { Failed, OidcRequest, Outcome } from './outcome.ts';
import type { Places } from './place.ts';
import { providerLogout, revokeAtProvider } from './provider-logout.ts';
import { readParameter } from './query.ts';

export interface LogoutNeeds {
  readonly client: Client;
  readonly places: Places;
  readonly findSession: FindSession;
  readonly store: SessionStore;
  readonly revocations: Revocations;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly limits: SessionLimits;
  /** The first authorized URI: the provider knows `<public URL>/logout` and no other address. */
  readonly publicUrl: string;
  readonly authorizedUris: readonly string[];
  /** The newest form of a session: its refresh token may have been renewed a moment ago. */
  readonly latest: (session: Session) => Promise<Session>;
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface Logout {
  logout(request: OidcRequest): Promise<Outcome>;
  /** Waits for what is still being said to the provider; each exchange has its deadline. Never throws. */
  settled(): Promise<void>;
}

/**
 * `/logout`: ends the session here, then at the provider (RFC 7009; OpenID Connect RP-Initiated Logout §2), and leads to the
 * place that was asked for. With the sealed `state` of such a round trip, or without a session, the provider is not
 * gone to again. A person is not signed out by another site: that gets a page which asks.
 */
export function createLogout(needs: LogoutNeeds): Logout {
  const underWay = new Set<Promise<void>>();
  const inBackground = (work: Promise<void>) => {
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };
  return {
    logout: async (request) => {
      if (!['GET', 'POST'].includes(request.method)) return refusal(400, 'login_method');
      const place = needs.places.asked(request);
      if (place.kind === 'refused') return refusal(403, 'redirect_refused');
      if (request.method === 'POST' && !isOwnPage(request, needs.authorizedUris)) return refusal(403, 'origin_refused');
      const returned = await openState(request, needs);
      if (returned) return arrive(returned.to, []);
      const found = await needs.findSession(request.cookies);
      if (found.kind === 'unreachable') return { ...refusal(503, 'store_unreachable'), cause: found.cause };
      return leave(request, { to: place.kind === 'allowed' ? place.to : undefined, found }, { ...needs, inBackground });
    },
    settled: async () => {
      await Promise.all(underWay);
    },
  };
}

type Leaving = LogoutNeeds & { readonly inBackground: (work: Promise<void>) => void };

async function leave(
  request: OidcRequest,
  { to, found }: { to: string | undefined; found: Exclude<FoundSession, { kind: 'unreachable' }> },
  needs: Leaving,
): Promise<Outcome> {
  const session = endable(found);
  if (session && request.method === 'GET' && isFromOtherSite(request)) {
    return { kind: 'confirm-logout', to: confirmedBy(to), cookies: [] };
  }
  const failed = found.kind === 'none' ? undefined : await end(found.session, needs);
  if (failed) return failed;
  const cleared = clearedCookies(request, needs.cookies);
  if (!session) return arrive(to, cleared);
  noteSignOut(session, needs);
  needs.inBackground(revokeAtProvider(session, needs));
  const there = await providerLogout({ request, session, to, cleared }, needs);
  return there === undefined ? arrive(to, cleared) : { kind: 'redirect', to: there, cookies: cleared };
}

/** A session that somebody may still believe: expired ones have refresh tokens too. One signed out already has ended. */
function endable(found: FoundSession): Session | undefined {
  if (found.kind === 'alive') return found.session;
  return found.kind === 'over' && !found.isRevoked ? found.session : undefined;
}

function refusal(status: 400 | 403 | 503, code: Failed['code']): Failed {
  return { kind: 'failed', status, code, cookies: [], retry: '/logout' };
}

function arrive(to: string | undefined, cookies: readonly string[]): Outcome {
  return to === undefined ? { kind: 'signed-out', cookies } : { kind: 'redirect', to, cookies };
}

function confirmedBy(to: string | undefined): string {
  return to === undefined ? '/logout' : `/logout?redirect_url=${encodeURIComponent(to)}`;
}

/** Browsers write Sec-Fetch-Site themselves; no page can. */
function isFromOtherSite({ fetchSite }: OidcRequest): boolean {
  return fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none';
}

/**
 * Whether a POST came from a page of ours. A page with `Referrer-Policy: no-referrer`, as ours are, sends `Origin: null` even
 * to its own origin (Fetch §3.2): then the browser's Sec-Fetch-Site decides.
 */
export function isOwnPage(
  { pageOrigin, fetchSite }: { readonly pageOrigin?: string | undefined; readonly fetchSite?: string | undefined },
  authorizedUris: readonly string[],
): boolean {
  if (pageOrigin !== undefined && pageOrigin !== 'null') return authorizedUris.includes(pageOrigin);
  if (pageOrigin === 'null') return fetchSite === 'same-origin';
  return fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none';
}

async function openState(request: OidcRequest, needs: LogoutNeeds): Promise<{ to: string | undefined } | undefined> {
  const parameter = readParameter(new URLSearchParams(request.query), 'state');
  const sealed = parameter.kind === 'single' ? await needs.seal.open('logout-state', parameter.value) : undefined;
  if (!sealed) return undefined;
  const { r: to } = sealed;
  return { to: typeof to === 'string' && needs.places.stillAllowed(to) ? to : undefined };
}

/** Once more for one that ended already: the store may have failed then. */
async function end(session: Session, needs: LogoutNeeds): Promise<Failed | undefined> {
  try {
    await endSession(session, needs);
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    needs.log.warn('logout.store_failed', { code: cause.code, cause });
    return { ...refusal(503, 'store_unreachable'), cause };
  }
  return undefined;
}

function noteSignOut(session: Session, needs: LogoutNeeds): void {
  needs.metrics.signOut();
  needs.log.info('logout.finished', {
    issuer: session.issuer,
    subject: personDigest(session.issuer, session.claims.sub),
    session: handleOf(session.id),
  });
}

/** Clears what came, readable or not; nothing is cleared for somebody who brought nothing. */
function clearedCookies(request: OidcRequest, cookies: Cookies): readonly string[] {
  const cleared: string[] = [];
  if (readCookies(request.cookies, cookies.sessionName).length > 0) cleared.push(cookies.clearSession());
  if (readCookies(request.cookies, cookies.idTokenName).length > 0) cleared.push(cookies.clearIdToken());
  return cleared;
}
