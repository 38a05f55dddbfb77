import type { Clock, Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Client } from './client.ts';
import type { FindSession } from './find-session.ts';
import type { LoginBegun, LoginStates } from './login-state.ts';
import type { Failed, OidcRequest, Outcome } from './outcome.ts';
import type { Places } from './place.ts';
import type { Provider } from './provider.ts';
import { readParameter } from './query.ts';
import { troubleOf } from './trouble.ts';

export interface LoginNeeds {
  readonly client: Client;
  readonly provider: Pick<Provider, 'outage'>;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly idpQueryParameter?: string;
  readonly states: LoginStates;
  readonly places: Places;
  readonly findSession: FindSession;
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * `/login`: sends a browser to the provider, or straight to where it wants to go when its session is alive. Everything is
 * judged before anything is asked or set. While the provider does not answer us, a page says so: the browser would end at a
 * dead address, or come back in vain.
 *
 * @see RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1
 */
export function createLogin(needs: LoginNeeds): (request: OidcRequest) => Promise<Outcome> {
  return async (request) => {
    const refused = refuseMethod(request, ['GET', 'HEAD']);
    if (refused) return refused;
    const place = needs.places.asked(request);
    if (place.kind === 'refused')
      return { kind: 'failed', status: 403, code: 'redirect_refused', cookies: [], retry: '/login' };
    const to = needs.places.afterSignIn(place.kind === 'allowed' ? place.to : '', request.origin);

    const found = await needs.findSession(request.cookies);
    if (found.kind === 'alive') return { kind: 'redirect', to, cookies: [] };
    if (found.kind === 'unreachable') {
      return {
        kind: 'failed',
        status: 503,
        code: 'store_unreachable',
        cookies: [],
        retry: retryPath(to),
        cause: found.cause,
      };
    }
    return toProvider(request, to, needs);
  };
}

/** Sign-in pages are opened by a person, with GET: anything else is told so, and gets no cookie. */
export function refuseMethod(request: OidcRequest, methods: readonly string[]): Failed | undefined {
  if (!methods.includes(request.method))
    return { kind: 'failed', status: 400, code: 'login_method', cookies: [], retry: '/login' };
  const isNavigation = request.fetchMode === undefined || request.fetchMode === 'navigate';
  return isNavigation ? undefined : { kind: 'failed', status: 401, code: 'login_method', cookies: [] };
}

/** A local path that begins the sign-in again, for the same place. */
export function retryPath(place: string): string {
  return `/login?redirect_url=${encodeURIComponent(place)}`;
}

async function toProvider(request: OidcRequest, to: string, needs: LoginNeeds): Promise<Outcome> {
  const begun = await needs.states.begin(to, request.cookies);
  try {
    const outage = await soon(needs.provider.outage());
    if (outage) throw outage;
    const url = await needs.client.authorizationUrl(authorizationParameters(request, begun, needs));
    needs.metrics.signIn('started');
    needs.log.debug('login.started', { id: request.id });
    return { kind: 'redirect', to: url, cookies: begun.cookies };
  } catch (error) {
    const trouble = troubleOf(error);
    const cause = trouble.kind === 'unreachable' ? trouble.cause : undefined;
    needs.metrics.signIn('failed');
    return { kind: 'failed', status: 503, code: 'issuer_unreachable', cookies: [], retry: retryPath(to), cause };
  }
}

/** A provider that is slow is no reason to keep anybody waiting here: it may be quick enough for their browser. */
const PATIENCE_MS: Millis = 2000;

async function soon<T>(answer: Promise<T>): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, PATIENCE_MS, undefined);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
}

function authorizationParameters(request: OidcRequest, begun: LoginBegun, needs: LoginNeeds): URLSearchParams {
  const parameters = new URLSearchParams();
  if (needs.idpQueryParameter !== undefined) {
    const idp = readParameter(new URLSearchParams(request.query), needs.idpQueryParameter);
    if (idp.kind === 'single' && idp.value.length <= 256) parameters.set(needs.idpQueryParameter, idp.value);
  }
  // After what was copied, so that no copied parameter stands in for one of these.
  parameters.set('response_type', 'code');
  parameters.set('client_id', needs.clientId);
  parameters.set('redirect_uri', `${request.origin}/callback`);
  parameters.set('scope', [...new Set(['openid', ...needs.scopes])].join(' '));
  parameters.set('state', begun.state);
  parameters.set('nonce', begun.nonce);
  parameters.set('code_challenge', begun.challenge);
  parameters.set('code_challenge_method', 'S256');
  return parameters;
}
