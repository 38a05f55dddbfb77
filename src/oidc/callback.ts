import { randomBytes } from 'node:crypto';
import type { Clock } from '../config/units.ts';
import { Failure, type FailureCode } from '../failure.ts';
import { personDigest } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { SessionLimits } from '../session/limits.ts';
import { handleOf } from '../session/marks.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { Whereabouts } from '../session/session-list.ts';
import { biggestPart } from '../session/session-size.ts';
import type { SessionStore } from '../session/store.ts';
import type { Client, Tokens } from './client.ts';
import type { FindSession } from './find-session.ts';
import { fitsHead } from './head-room.ts';
import type { IdTokenClaims } from './id-token.ts';
import { refuseMethod, retryPath } from './login.ts';
import { failed, failureOf } from './login-failure.ts';
import type { LoginState, LoginStates } from './login-state.ts';
import type { OidcRequest, Outcome } from './outcome.ts';
import { personClaims } from './person-claims.ts';
import type { Places } from './place.ts';
import { readParameter } from './query.ts';
import { sessionTimes } from './session-times.ts';
import type { SignInLoop } from './sign-in-loop.ts';

export interface CallbackNeeds {
  readonly client: Client;
  /** Further claims to keep. */
  readonly claims: readonly string[];
  /** Whether sessions hold their access token, for services behind. */
  readonly keepsAccessToken: boolean;
  readonly states: LoginStates;
  readonly places: Places;
  readonly findSession: FindSession;
  readonly store: SessionStore;
  readonly revocations: Pick<Revocations, 'freeFrom'>;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly limits: SessionLimits;
  /** Under SameSite=Strict the answer is a page that refreshes: a redirect from another site comes back without cookies. */
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly loop: SignInLoop;
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Characters of an ID token that is kept; with a longer one, sign-out goes without `id_token_hint`. */
const longestIdToken = 1024;

/**
 * `/callback`: ends a sign-in. The browser and its `state` are compared before the code is redeemed, the ID token is
 * verified before userinfo is asked, and both before anything is set.
 *
 * @see OpenID Connect Core §3.1.2.5 to §3.1.3.7 and §5.3.2, RFC 9207 §2.4, RFC 9700 §4.4 and §4.5
 */
export function createCallback(needs: CallbackNeeds): (request: OidcRequest) => Promise<Outcome> {
  return async (request) => {
    const refused = refuseMethod(request, ['GET']);
    if (refused) return refused;
    const query = new URLSearchParams(request.query);
    const parameter = readParameter(query, 'state');
    const state = parameter.kind === 'single' ? await needs.states.open(parameter.value) : undefined;
    if (parameter.kind !== 'single' || !state) {
      return failed({ status: 401, code: 'login_state_invalid', retry: '/login' }, needs);
    }
    const place = needs.places.afterSignIn(state.returnTo, request.origin);
    const verifier = await needs.states.verifierOf(state, request.cookies);
    if (verifier === undefined) return staleTab(request, place, needs);
    // The state is spent from here on, whatever comes of it.
    const spent = [needs.cookies.clearLogin(state.suffix)];
    // Each use costs a question to the provider, and a code that comes twice makes it take back what the first one got.
    if (!needs.states.spend(state)) return staleTab(request, place, needs, spent);

    const answered = new URL(`${request.origin}/callback`);
    answered.search = query.toString();
    const expected = { state: parameter.value, nonce: state.nonce, verifier };
    const signed = await signIn(answered, expected, needs).catch(failureOf);
    if ('code' in signed) return failed({ ...signed, retry: retryPath(place), cookies: spent }, needs);
    return finish({ request, state, place, ...signed, spent }, needs);
  };
}

/** Its login took too long, was pushed out by newer ones, ended already, or is another browser's. */
async function staleTab(
  request: OidcRequest,
  place: string,
  needs: CallbackNeeds,
  cookies: readonly string[] = [],
): Promise<Outcome> {
  const found = await needs.findSession(request.cookies);
  if (found.kind === 'alive') return { kind: 'redirect', to: place, cookies };
  return failed({ status: 401, code: 'login_state_missing', retry: retryPath(place), cookies }, needs);
}

async function signIn(
  answered: URL,
  expected: { state: string; nonce: string; verifier: string },
  needs: CallbackNeeds,
): Promise<{ session: Session; idToken: string }> {
  const tokens = await needs.client.redeem(answered, expected);
  const { idToken } = tokens;
  if (!idToken) throw new Failure('login_exchange_failed', 'no ID token came with the tokens');
  const userinfo = await needs.client.userinfo(tokens.accessToken, idToken.claims.sub);
  const claims = personClaims(idToken.claims, userinfo ?? {}, needs.claims);
  if (!claims) throw new Failure('login_exchange_failed', 'the subject is no text of at most 255 characters');
  const now = needs.now();
  const sid = providerSessionOf(idToken.claims);
  const { issuer } = needs.client;
  const session: Session = {
    id: randomBytes(16).toString('base64url'),
    issuer,
    ...(sid === undefined ? {} : { sid }),
    claims,
    // After whatever sign-out this person has gone through, also one that speaks of a moment ahead.
    startedAt: Math.max(now, needs.revocations.freeFrom({ issuer, subject: claims.sub })),
    seenAt: now,
    ...timesOf(tokens, now),
    ...(tokens.refreshToken === undefined ? {} : { refreshToken: tokens.refreshToken }),
    ...(needs.keepsAccessToken && { accessToken: tokens.accessToken }),
  };
  return { session, idToken: idToken.jwt };
}

/** `sid` where it is a name that a cookie has room for (OpenID Connect Front-Channel Logout §3). */
function providerSessionOf({ sid }: IdTokenClaims): string | undefined {
  return typeof sid === 'string' && sid !== '' && sid.length <= 255 ? sid : undefined;
}

function timesOf(tokens: Tokens, now: number): Pick<Session, 'accessExpiresAt' | 'renewAt'> {
  const { expiresIn, refreshToken, idToken } = tokens;
  return sessionTimes(
    {
      ...(expiresIn === undefined ? {} : { expiresIn }),
      ...(idToken === undefined ? {} : { idTokenExp: idToken.claims.exp }),
      ...(refreshToken === undefined ? {} : { refreshToken }),
    },
    now,
  );
}

interface SignedIn {
  readonly request: OidcRequest;
  readonly state: LoginState;
  readonly place: string;
  readonly session: Session;
  readonly idToken: string;
  readonly spent: readonly string[];
}

async function finish(signedIn: SignedIn, needs: CallbackNeeds): Promise<Outcome> {
  const { request, state, place, session, spent } = signedIn;
  const retry = retryPath(place);
  if (needs.loop.isLoop({ issuer: session.issuer, subject: session.claims.sub }, state.startedAt)) {
    return failed({ status: 400, code: 'login_loop', retry, cookies: spent }, needs);
  }
  const kept = await keep(session, request.from, needs);
  if (kept.kind === 'failed') return failed({ ...kept, retry, cookies: spent }, needs);
  const maxAgeS = Math.ceil(needs.limits.absoluteMs / 1000);
  const cookies = [needs.cookies.setSession(kept.value, maxAgeS), ...spent];
  const hint = await idTokenCookie(signedIn, maxAgeS, needs);
  if (hint !== undefined && fitsHead([...cookies, hint], place)) cookies.push(hint);
  needs.loop.finished(session, state.startedAt);
  needs.metrics.signIn('finished');
  needs.log.info('login.finished', {
    issuer: session.issuer,
    subject: personDigest(session.issuer, session.claims.sub),
    session: handleOf(session.id),
    id: request.id,
    tookMs: needs.now() - state.startedAt,
  });
  const isRefresh = needs.sameSite === 'strict' || !fitsHead(cookies, place);
  return { kind: isRefresh ? 'refresh' : 'redirect', to: place, cookies };
}

type Kept =
  | { readonly kind: 'kept'; readonly value: string }
  | {
      readonly kind: 'failed';
      readonly status: 403 | 503;
      readonly code: FailureCode;
      readonly cause: Failure;
      readonly about?: string;
    };

async function keep(session: Session, from: Whereabouts, needs: CallbackNeeds): Promise<Kept> {
  try {
    return { kind: 'kept', value: await needs.store.create(session, from) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code !== 'session_too_large') return { kind: 'failed', status: 503, code: error.code, cause: error };
    return { kind: 'failed', status: 403, code: error.code, cause: error, about: biggestPart(session)[0] };
  }
}

/** Sealed with the session's id, so that an older one is never taken for this session's. */
async function idTokenCookie(signedIn: SignedIn, maxAgeS: number, needs: CallbackNeeds): Promise<string | undefined> {
  if (signedIn.idToken.length > longestIdToken) return undefined;
  const sealed = await needs.seal.seal('id-token', { s: signedIn.session.id, t: signedIn.idToken });
  return needs.cookies.setIdToken(sealed, maxAgeS);
}
