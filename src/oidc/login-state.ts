import { randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { readCookies } from '../server/cookie.ts';
import type { Seal } from '../session/seal.ts';
import type { Cookies } from '../session/session-cookie.ts';
import { digest } from './digest.ts';

/** A login takes at most so long, from `/login` to `/callback`. */
export const loginMs: Millis = 600_000;
/** Logins that one browser may have under way. */
export const maxLogins = 12;
/** Cookies cleared by one answer at most; more would not fit in nginx's buffer for its head. */
const clearedAtOnce = 4;
/** Login cookies that are opened to find the oldest; a browser with more made them up. */
const openedAtMost = 32;
/** Ended logins remembered at most; to push one out takes as many others that really came back from the provider. */
const maxSpent = 10_000;

/** What the `state` parameter says, once opened. */
export interface LoginState {
  readonly returnTo: string;
  readonly nonce: string;
  readonly startedAt: Millis;
  /** Of the cookie that binds this login to the browser that began it. */
  readonly suffix: string;
  /** PKCE S256 of the verifier in that cookie: a state of one login and the cookie of another do not match. */
  readonly challenge: string;
}

export interface LoginBegun {
  readonly state: string;
  readonly nonce: string;
  readonly challenge: string;
  /** Set-Cookie values: this login's, and those that clear the oldest beyond the limit. */
  readonly cookies: readonly string[];
}

/** Logins under way: nothing of them is kept here, all of it in the browser. Only those that ended are remembered. */
export interface LoginStates {
  /** @param cookies the request's Cookie field */
  begin(returnTo: string, cookies: string): Promise<LoginBegun>;
  /** @returns undefined when no gateway with our keys made this state */
  open(state: string): Promise<LoginState | undefined>;
  /** The PKCE verifier, for the browser that began this login in the last ten minutes; undefined for any other. */
  verifierOf(state: LoginState, cookies: string): Promise<string | undefined>;
  /**
   * Uses a login up. To be asked once the browser is known for its own: a stranger must not end somebody else's login.
   * @returns whether this was its first use in this process; a second one asks the provider nothing
   */
  spend(state: LoginState): boolean;
}

export function createLoginStates(needs: { seal: Seal; cookies: Cookies; now: Clock }): LoginStates {
  const { seal, cookies, now } = needs;
  // By the challenge, which is no other login's: a digest already.
  const spent = new LRUCache<string, true>({ max: maxSpent, perf: { now }, ttlResolution: 0 });
  return {
    begin: async (returnTo, sent) => {
      const verifier = randomBytes(32).toString('base64url');
      const nonce = randomBytes(16).toString('base64url');
      const suffix = randomBytes(6).toString('base64url');
      const challenge = digest(verifier);
      const cookie = await seal.seal('login-cookie', { p: verifier, t: now() });
      return {
        state: await seal.seal('login-state', { r: returnTo, n: nonce, t: now(), s: suffix, c: challenge }),
        nonce,
        challenge,
        cookies: [cookies.setLogin(suffix, cookie), ...(await evicted(sent, needs)).map(cookies.clearLogin)],
      };
    },
    open: async (state) => readState(await seal.open('login-state', state)),
    verifierOf: async (state, sent) => {
      const age = now() - state.startedAt;
      // A little into the future: another replica's clock.
      if (age > loginMs || age < -60_000) return undefined;
      const values = readCookies(sent, cookies.loginPrefix + state.suffix);
      const value = values.length === 1 ? values[0] : undefined;
      const { p: verifier } = (await seal.open('login-cookie', value ?? '')) ?? {};
      return typeof verifier === 'string' && isSame(digest(verifier), state.challenge) ? verifier : undefined;
    },
    spend: ({ challenge, startedAt }) => {
      if (spent.has(challenge)) return false;
      // Until its time is over anyway.
      spent.set(challenge, true, { ttl: Math.max(1, startedAt + loginMs - now()) });
      return true;
    },
  };
}

function readState(payload: Record<string, unknown> | undefined): LoginState | undefined {
  if (!payload) return undefined;
  const { r: returnTo, n: nonce, t: startedAt, s: suffix, c: challenge } = payload;
  if (typeof returnTo !== 'string' || typeof nonce !== 'string' || typeof challenge !== 'string') return undefined;
  if (typeof startedAt !== 'number' || typeof suffix !== 'string') return undefined;
  return { returnTo, nonce, startedAt, suffix, challenge };
}

/** The suffixes that must go to make room for one more login: unreadable ones first, then the oldest. */
async function evicted(sent: string, needs: { seal: Seal; cookies: Cookies }): Promise<readonly string[]> {
  const { loginPrefix } = needs.cookies;
  const suffixes = [...new Set(namesIn(sent).filter((name) => name.startsWith(loginPrefix)))]
    .map((name) => name.slice(loginPrefix.length))
    .filter((suffix) => /^[\w-]{8}$/.test(suffix));
  const excess = suffixes.length - (maxLogins - 1);
  if (excess <= 0) return [];
  const aged = await Promise.all(
    suffixes.slice(0, openedAtMost).map(async (suffix) => {
      const [value = ''] = readCookies(sent, loginPrefix + suffix);
      const { t: startedAt } = (await needs.seal.open('login-cookie', value)) ?? {};
      return { suffix, startedAt: typeof startedAt === 'number' ? startedAt : 0 };
    }),
  );
  const oldestFirst = aged.sort((a, b) => a.startedAt - b.startedAt);
  return oldestFirst.slice(0, Math.min(excess, clearedAtOnce)).map(({ suffix }) => suffix);
}

function namesIn(cookies: string): readonly string[] {
  return cookies.split(';').map((pair) => pair.split('=', 1)[0]?.trim() ?? '');
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
