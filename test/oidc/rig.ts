import type { CookieKey } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import type { Clock, Millis } from '../../src/config/units.ts';
import type { Facts, Log } from '../../src/observe/log.ts';
import type { Metrics } from '../../src/observe/metrics.ts';
import { createCallback } from '../../src/oidc/callback.ts';
import { type Client, createClient } from '../../src/oidc/client.ts';
import { alone, type Coordination } from '../../src/oidc/coordination.ts';
import { createFindSession } from '../../src/oidc/find-session.ts';
import { createLogin } from '../../src/oidc/login.ts';
import { createLoginStates } from '../../src/oidc/login-state.ts';
import { createLogout, type Logout } from '../../src/oidc/logout.ts';
import { createOutbound } from '../../src/oidc/outbound.ts';
import type { OidcRequest, Outcome } from '../../src/oidc/outcome.ts';
import { createPlaces } from '../../src/oidc/place.ts';
import { createProvider, type Provider } from '../../src/oidc/provider.ts';
import { createRenew, type Renewer } from '../../src/oidc/renew.ts';
import { createSignInLoop, type SignInLoop } from '../../src/oidc/sign-in-loop.ts';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import { createRevocations, type Revocations } from '../../src/session/revocations.ts';
import { createSeal, type Seal } from '../../src/session/seal.ts';
import type { Session } from '../../src/session/session.ts';
import { type Cookies, createCookies } from '../../src/session/session-cookie.ts';
import type { SessionStore } from '../../src/session/store.ts';
import { cookieKey } from '../session/fixtures.ts';

export const ORIGIN = 'https://flyte.example.com';
export const OTHER_ORIGIN = 'https://console.example.com';
const limits = { idleMs: 8 * 3_600_000, absoluteMs: 7 * 86_400_000 };

export interface RigOptions {
  readonly keys?: readonly CookieKey[];
  readonly sameSite?: 'lax' | 'strict' | 'none';
  /** Of the session cookie. */
  readonly domain?: string;
  readonly isApp?: (origin: string) => boolean;
  readonly claims?: readonly string[];
  /** `web` unless said otherwise. */
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly otherClientSecret?: string;
  readonly scopes?: readonly string[];
  readonly idpQueryParameter?: string;
  readonly redirectUrl?: string;
  readonly issuerUrl?: string;
  readonly timeoutMs?: Millis;
  /** Alone unless said otherwise. */
  readonly coordination?: Coordination;
  /** Added to the system's clock. */
  readonly aheadMs?: Millis;
}

/** Everything of sign-in and sign-out, wired to a provider, without an HTTP server in front. */
export interface Rig {
  login(request: OidcRequest): Promise<Outcome>;
  callback(request: OidcRequest): Promise<Outcome>;
  readonly out: Logout;
  readonly renewer: Renewer;
  readonly provider: Provider;
  readonly client: Client;
  readonly loop: SignInLoop;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly store: SessionStore;
  readonly revocations: Revocations;
  readonly logged: { readonly event: string; readonly facts: Facts }[];
  /** Moves the clock on. */
  advance(by: Millis): void;
  now: Clock;
  close(): Promise<void>;
}

export function createRig(baseUrl: string, options: RigOptions = {}): Rig {
  let ahead = options.aheadMs ?? 0;
  const now = () => Date.now() + ahead;
  const { log, logged } = createTestLog();
  const metrics = createTestMetrics();
  const sameSite = options.sameSite ?? 'lax';
  const claims = options.claims ?? [];
  const clientId = options.clientId ?? 'web';
  const outbound = createOutbound({ timeoutMs: options.timeoutMs ?? 5000, allowHttp: false });
  const provider = createProvider({
    baseUrl,
    ...(options.issuerUrl === undefined ? {} : { issuerUrl: options.issuerUrl }),
    retryAttempts: 1,
    retryDelayMs: 1,
    outbound,
    now,
    log,
  });
  const { clientSecret: first, otherClientSecret: second } = options;
  const other = second === undefined ? {} : { otherClientSecret: new Secret(second) };
  const secret = first === undefined ? {} : { clientSecret: new Secret(first), ...other };
  const client = createClient({ provider, outbound, clientId, ...secret, now });
  const seal = createSeal(options.keys ?? [cookieKey(1)]);
  const domain = options.domain === undefined ? {} : { domain: options.domain };
  const cookies = createCookies({ sameSite, secure: true, ...domain });
  const store = createCookieStore({ seal });
  const revocations = createRevocations({ now, max: 1000, maxOfPerson: 1000, onFull: () => undefined });
  const authorizedUris = [ORIGIN, OTHER_ORIGIN];
  const places = createPlaces({
    authorizedUris,
    isApp: options.isApp ?? (() => false),
    redirectUrl: options.redirectUrl ?? '/console',
  });
  const findSession = createFindSession({ store, revocations, cookies, limits, now });
  const states = createLoginStates({ seal, cookies, now });
  const loop = createSignInLoop({ now });
  const renewer = createRenew({ client, coordination: options.coordination ?? alone, claims, now, log, metrics });
  const shared = { client, places, findSession, store, revocations, seal, cookies, limits, now, log, metrics };
  const idp = options.idpQueryParameter === undefined ? {} : { idpQueryParameter: options.idpQueryParameter };
  return {
    login: createLogin({
      ...shared,
      ...idp,
      provider,
      clientId,
      scopes: options.scopes ?? ['openid', 'profile'],
      states,
    }),
    callback: createCallback({ ...shared, claims, keepsAccessToken: false, states, sameSite, loop }),
    out: createLogout({ ...shared, publicUrl: ORIGIN, authorizedUris, latest: renewer.latest }),
    renewer,
    provider,
    client,
    loop,
    seal,
    cookies,
    store,
    revocations,
    logged,
    advance: (by) => {
      ahead += by;
    },
    now,
    close: () => outbound.close(),
  };
}

/** A browser's cookies and the requests it makes. */
export interface Visitor {
  readonly jar: Map<string, string>;
  request(query?: string, changes?: Partial<OidcRequest>): OidcRequest;
  /** Takes in the Set-Cookie values of an outcome and hands the outcome on. */
  keep(outcome: Outcome): Outcome;
}

export function createVisitor(): Visitor {
  const jar = new Map<string, string>();
  return {
    jar,
    request: (query = '', changes = {}) => ({
      method: 'GET',
      query,
      origin: ORIGIN,
      cookies: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
      fetchMode: 'navigate',
      from: { userAgent: 'a browser', address: '192.0.2.1' },
      id: 'reference-1',
      ...changes,
    }),
    keep: (outcome) => {
      for (const line of outcome.cookies) {
        const [pair = ''] = line.split(';');
        const name = pair.slice(0, pair.indexOf('='));
        if (/;\s*max-age=0/i.test(line)) jar.delete(name);
        else jar.set(name, pair.slice(name.length + 1));
      }
      return outcome;
    },
  };
}

/** Goes to the provider and comes back: the query that it sends to `/callback`. */
export async function throughProvider(outcome: Outcome): Promise<string> {
  if (outcome.kind !== 'redirect') throw new Error(`not a redirect: ${JSON.stringify(outcome)}`);
  const answer = await fetch(outcome.to, { redirect: 'manual' });
  return new URL(answer.headers.get('location') ?? '').search;
}

/** A whole sign-in by one visitor. */
export async function signIn(rig: Rig, visitor: Visitor, query = ''): Promise<Outcome> {
  const begun = visitor.keep(await rig.login(visitor.request(query)));
  const back = await throughProvider(begun);
  return visitor.keep(await rig.callback(visitor.request(back)));
}

/** The session that a visitor's cookie holds. */
export async function sessionOf(rig: Rig, visitor: Visitor): Promise<Session> {
  const opened = await rig.store.open(visitor.jar.get(rig.cookies.sessionName) ?? '');
  if (opened.kind !== 'alive') throw new Error(`no session: ${opened.kind}`);
  return opened.session;
}

/** What a failure page is about; any other outcome by its kind. */
export function codeOf(outcome: Outcome): string {
  return outcome.kind === 'failed' ? `${outcome.status} ${outcome.code}` : outcome.kind;
}

export function createTestLog(): { log: Log; logged: { event: string; facts: Facts }[] } {
  const logged: { event: string; facts: Facts }[] = [];
  const write = (event: string, facts: Facts = {}) => void logged.push({ event, facts });
  return { log: { debug: write, info: write, warn: write, error: write }, logged };
}

export function createTestMetrics(): Metrics {
  const nothing = () => undefined;
  return {
    request: nothing,
    decision: nothing,
    signIn: nothing,
    signOut: nothing,
    backchannelLogout: nothing,
    streamsEnded: nothing,
    renewal: nothing,
    apiKey: nothing,
    introspection: nothing,
    upstream: nothing,
    watchUpstream: nothing,
    redisFailure: nothing,
    watchRedis: nothing,
    page: async () => ({ contentType: 'text/plain', body: '' }),
  };
}
