import type { Config } from '../config/config.ts';
import type { Clock } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { createAppOrigins } from '../server/app-origins.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Seal } from '../session/seal.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { SessionStore } from '../session/store.ts';
import { createBackchannelLogout, type SaidSignedOut } from './backchannel-logout.ts';
import { createCallback } from './callback.ts';
import type { Client } from './client.ts';
import { createFindSession } from './find-session.ts';
import type { HeardTokens } from './heard-tokens.ts';
import { createLogin } from './login.ts';
import { createLoginStates } from './login-state.ts';
import { createLogout } from './logout.ts';
import type { OidcRequest, Outcome } from './outcome.ts';
import { createPlaces } from './place.ts';
import type { Provider } from './provider.ts';
import type { Renewer } from './renew.ts';
import type { SignInLoop } from './sign-in-loop.ts';

/** The steps by which a person comes to have a session and loses it. */
export interface RelyingParty {
  login(request: OidcRequest): Promise<Outcome>;
  callback(request: OidcRequest): Promise<Outcome>;
  logout(request: OidcRequest): Promise<Outcome>;
  /** The provider says by a form that somebody signed out there. */
  backchannelLogout(form: string): Promise<SaidSignedOut>;
  /** Waits for what is still being said to the provider, renewals too. Never throws. */
  settled(): Promise<void>;
}

export interface RelyingPartyNeeds {
  readonly config: Config;
  readonly client: Client;
  readonly provider: Provider;
  /** Both outlive the settings. */
  readonly renewer: Pick<Renewer, 'latest' | 'settled'>;
  readonly loop: SignInLoop;
  readonly heard: HeardTokens;
  readonly store: SessionStore;
  readonly revocations: Revocations;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Puts the room together: the conversations with the browser, in which the gateway is the provider's client. */
export function createRelyingParty(needs: RelyingPartyNeeds): RelyingParty {
  const { config, client, provider, heard, renewer, loop, store, revocations, seal, cookies, now, log, metrics } =
    needs;
  const { authorizedUris } = config.auth;
  const { openId, idpQueryParameter, redirectUrl, cookieSetting } = config.auth.userAuth;
  const { clientId, scopes } = openId;
  const { claims } = config.identityHeaders;
  const limits = config.session;
  const findSession = createFindSession({ store, revocations, cookies, limits, now });
  const { publicUrl } = config.server;
  const apps = createAppOrigins({ publicUrl, cookieDomain: cookieSetting.domain, routes: config.routes });
  const places = createPlaces({ authorizedUris, isApp: apps.has, redirectUrl });
  const states = createLoginStates({ seal, cookies, now });
  const common = { client, places, findSession, store, revocations, cookies, limits, now, log, metrics };
  const idp = idpQueryParameter === undefined ? {} : { idpQueryParameter };
  const keepsAccessToken = Object.values(config.upstreams).some(
    (upstream) => upstream.upstreamAuthorization === 'session-token',
  );
  const { logout, settled } = createLogout({
    ...common,
    seal,
    publicUrl,
    authorizedUris,
    latest: renewer.latest,
  });
  return {
    login: createLogin({ ...common, ...idp, provider, clientId, scopes, states }),
    callback: createCallback({ ...common, claims, keepsAccessToken, states, seal, sameSite: needs.sameSite, loop }),
    logout,
    backchannelLogout: createBackchannelLogout({ provider, clientId, heard, revocations, limits, now, log }),
    settled: async () => {
      await Promise.all([settled(), renewer.settled()]);
    },
  };
}
