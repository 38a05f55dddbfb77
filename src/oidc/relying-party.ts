import type { Config } from '../config/config.ts';
import type { Clock } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { SessionMarks } from '../session/marks.ts';
import type { Revocations } from '../session/revocations.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { SessionStore } from '../session/store.ts';
import { createBackchannelLogout, type SaidSignedOut } from './backchannel-logout.ts';
import { createCallback } from './callback.ts';
import { createClient } from './client.ts';
import { createFindSession } from './find-session.ts';
import { createLogin } from './login.ts';
import { createLoginStates } from './login-state.ts';
import { createLogout } from './logout.ts';
import type { Outbound } from './outbound.ts';
import type { OidcRequest, Outcome } from './outcome.ts';
import { createPlaces } from './place.ts';
import type { Provider } from './provider.ts';
import { createRenew, type Renewal } from './renew.ts';
import { createSignInLoop } from './sign-in-loop.ts';

/** The steps by which a person comes to have a session, keeps it and loses it. */
export interface RelyingParty {
  login(request: OidcRequest): Promise<Outcome>;
  callback(request: OidcRequest): Promise<Outcome>;
  logout(request: OidcRequest): Promise<Outcome>;
  /** The provider says by a form that somebody signed out there. */
  backchannelLogout(form: string): Promise<SaidSignedOut>;
  /** Once however many ask. Never throws. */
  renew(session: Session): Promise<Renewal>;
  /** Told of every session that was proved: whoever carries one is in no sign-in loop. */
  seen(session: Pick<SessionMarks, 'handle'>): void;
  /** Waits for what is still being said to the provider. Never throws. */
  settled(): Promise<void>;
}

export interface RelyingPartyNeeds {
  readonly config: Config;
  readonly provider: Provider;
  readonly outbound: Outbound;
  readonly store: SessionStore;
  readonly revocations: Revocations;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Puts the room together: the gateway as the provider's client, and its conversations with the browser. */
export function createRelyingParty(needs: RelyingPartyNeeds): RelyingParty {
  const { config, provider, outbound, store, revocations, seal, cookies, now, log, metrics } = needs;
  const { authorizedUris } = config.auth;
  const { openId, idpQueryParameter, redirectUrl } = config.auth.userAuth;
  const { clientId, clientSecret, scopes } = openId;
  const { claims } = config.identityHeaders;
  const limits = config.session;
  const client = createClient({ provider, outbound, now, clientId, ...(clientSecret && { clientSecret }) });
  const renewer = createRenew({ client, claims, now, log, metrics });
  const findSession = createFindSession({ store, revocations, cookies, limits, now });
  const places = createPlaces({ authorizedUris, redirectUrl });
  const states = createLoginStates({ seal, cookies, now });
  const loop = createSignInLoop({ now });
  const common = { client, places, findSession, store, cookies, limits, now, log, metrics };
  const idp = idpQueryParameter === undefined ? {} : { idpQueryParameter };
  const keepsAccessToken = Object.values(config.upstreams).some(
    (upstream) => upstream.upstreamAuthorization === 'session-token',
  );
  const { publicUrl } = config.server;
  const { logout, settled } = createLogout({
    ...common,
    revocations,
    seal,
    publicUrl,
    authorizedUris,
    latest: renewer.latest,
  });
  return {
    login: createLogin({ ...common, ...idp, clientId, scopes, states }),
    callback: createCallback({ ...common, claims, keepsAccessToken, states, seal, sameSite: needs.sameSite, loop }),
    logout,
    backchannelLogout: createBackchannelLogout({ provider, clientId, revocations, limits, now, log }),
    renew: renewer.renew,
    seen: loop.seen,
    settled,
  };
}
