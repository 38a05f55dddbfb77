import type { AssertionKeys } from './access/assertion-keys.ts';
import type { Decision } from './access/decision.ts';
import type { Decisions } from './access/decisions.ts';
import { isOriginRefused } from './access/origin-check.ts';
import { authenticated } from './access/policy.ts';
import { createMeAllowed, meRefused } from './answer/me.ts';
import { bare, documentFields, methodRefused } from './answer/plain-replies.ts';
import { plainRefusal, refusalFor, refusalOf } from './answer/refusal.ts';
import { showOutcome } from './answer/sign-in.ts';
import type { TurnAway } from './answer/turn-away.ts';
import { type Credential, type CredentialNames, readCredential } from './authenticate/credential.ts';
import type { Identity } from './authenticate/identity.ts';
import { createBackchannelEndpoint } from './backchannel-endpoint.ts';
import type { Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { Failure } from './failure.ts';
import type { Call } from './flyte/answer-call.ts';
import { publicClientDocument } from './flyte/auth-metadata.ts';
import { createFlyteServices, type FlyteMethod, maxCallBytes } from './flyte/services.ts';
import type { Asking, UserInfo } from './flyte/user-info.ts';
import type { Asked, Endpoint } from './handle.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { OidcRequest, Outcome } from './oidc/outcome.ts';
import type { Provider } from './oidc/provider.ts';
import type { RelyingParty } from './oidc/relying-party.ts';
import { callerOf } from './server/caller.ts';
import type { Reply } from './server/exchange.ts';
import type { Origins } from './server/origin.ts';
import { readSmallBody } from './server/small-body.ts';
import type { Revocations } from './session/revocations.ts';
import type { Whereabouts } from './session/session-list.ts';
import type { SessionStore } from './session/store.ts';
import { createSessionsEndpoint } from './sessions-endpoint.ts';

type Own = Asked & { readonly origin: string };
type Step = (request: OidcRequest) => Promise<Outcome>;

export interface EndpointNeeds {
  readonly config: Config;
  readonly credentialNames: CredentialNames;
  readonly origins: Origins;
  readonly decisions: Decisions;
  readonly identityHeaders: (identity: Identity) => readonly string[];
  readonly setSession: (cookie: string) => string;
  readonly clearSession: string;
  readonly store: Pick<SessionStore, 'list'>;
  readonly revocations: Pick<Revocations, 'revoke' | 'isRevoked'>;
  /** The public keys of what services behind are told signed. */
  readonly assertionKeys: Pick<AssertionKeys, 'jwks'>;
  readonly relyingParty: Pick<RelyingParty, 'login' | 'callback' | 'logout' | 'backchannelLogout'>;
  /** The issuer of people's sign-ins, and the one of access tokens; often the same. */
  readonly provider: Provider;
  readonly authorizationServer: Provider;
  /** Who somebody is, for Flyte's `UserInfo`. */
  readonly userInfo: (asking: Asking) => Promise<UserInfo>;
  readonly turnAway: TurnAway;
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Every URL of the gateway's own: an auditor sees all ways in here. They answer on authorized-URI hosts only. */
export function createEndpoints(needs: EndpointNeeds): (path: string) => Endpoint | undefined {
  const table = new Map<string, Endpoint>([
    ['/me', createMe(needs)],
    ['/login', page(needs, 'login', needs.relyingParty.login)],
    ['/callback', page(needs, 'login', needs.relyingParty.callback)],
    ['/logout', page(needs, 'logout', needs.relyingParty.logout)],
    ['/backchannel-logout', createBackchannelEndpoint({ ...needs, ...needs.relyingParty })],
    [
      '/sessions',
      createSessionsEndpoint({ ...needs, ...needs.config.auth, limits: needs.config.session, whereabouts }),
    ],
    ['/.well-known/openid-configuration', document(needs, async () => seeOther(await issuerOf(needs.provider)))],
    [
      '/.well-known/oauth-authorization-server',
      document(needs, async () => json(await needs.authorizationServer.metadata())),
    ],
    ['/.well-known/flytegate/jwks.json', document(needs, async () => jwks(needs.assertionKeys))],
    ['/config/v1/flyte_client', document(needs, async () => json(publicClientDocument(needs.config)))],
  ]);
  const findMethod = createFlyteServices(needs);
  return (path) => {
    const known = table.get(path);
    const method = known ? undefined : findMethod(path);
    return method ? (asked) => answerRpc(needs, method, asked) : known;
  };
}

/**
 * Who are you? For nginx, the console and curl: plain statuses only, whatever protocol the headers speak of, since
 * nginx lets in whoever is answered with a 2xx.
 */
function createMe(needs: EndpointNeeds): Endpoint {
  const { identityHeaders, config } = needs;
  const meAllowed = createMeAllowed({ identityHeaders, outsideMs: config.decisionCache.outsideMs });
  return (asked) => {
    const { exchange } = asked;
    const { fields, method } = exchange.head;
    const credential = readCredential(fields, needs.credentialNames);
    if (credential.kind === 'refused' && credential.status === 400) {
      needs.metrics.request('refused');
      return exchange.send(plainRefusal(refusalFor(credential.why), exchange.id));
    }
    if (isOriginRefused({ method, fields, isWebSocket: false }, credential.kind, needs.origins.has)) {
      const decision = { kind: 'deny', why: 'origin_refused' } as const;
      return sayWho(needs, meAllowed, asked, { credential, decision });
    }
    const decision = needs.decisions.decide(credential, authenticated, exchange.connection, asked.client.address);
    if (decision instanceof Promise)
      return decision.then((made) => sayWho(needs, meAllowed, asked, { credential, decision: made }));
    return sayWho(needs, meAllowed, asked, { credential, decision });
  };
}

function sayWho(
  needs: EndpointNeeds,
  meAllowed: ReturnType<typeof createMeAllowed>,
  { exchange, client }: Asked,
  { credential, decision }: { readonly credential: Credential; readonly decision: Decision },
): void {
  needs.metrics.request('endpoint');
  if (decision.kind === 'allow') {
    const renewed = decision.renewedCookie;
    const reply = meAllowed(decision, {
      now: needs.now(),
      byAuthorization: credential.kind === 'bearer' && credential.header === 'authorization',
      ...(renewed !== undefined && { setCookie: needs.setSession(renewed) }),
    });
    exchange.send(reply);
    if (reply.leftOut.length > 0) needs.log.warn('me.headers_left_out', { id: exchange.id, headers: reply.leftOut });
    needs.log.debug('me.allowed', { kind: decision.identity.kind });
    return;
  }
  const clears = decision.kind === 'sign-in' && decision.clearCookie;
  exchange.send(meRefused(decision, { id: exchange.id, ...(clears && { setCookie: needs.clearSession }) }));
  if (decision.kind === 'unavailable')
    needs.log.warn('me.unavailable', { id: exchange.id, code: decision.cause.code, cause: decision.cause });
  else needs.log.info('me.refused', { id: exchange.id, why: decision.why, client: client.address });
}

/** Which of them each step takes is its own business; it says so with a page. */
const pageMethods = ['GET', 'HEAD', 'POST'];

/** A step of signing in or out, shown as a page or a redirect; what went wrong stands in the log by its reference. */
function page(needs: EndpointNeeds, name: 'login' | 'logout', step: Step): Endpoint {
  return async (asked) => {
    const { exchange } = asked;
    needs.metrics.request('endpoint');
    if (!pageMethods.includes(exchange.head.method)) return exchange.send(methodRefused(pageMethods, exchange.id));
    const outcome = await step(oidcRequestOf(asked));
    if (outcome.kind === 'failed') {
      const { code, status, about, cause } = outcome;
      const facts = { id: exchange.id, code, status, ...(about && { about }), client: asked.client.address };
      needs.log.warn(`${name}.failed`, cause === undefined ? facts : { ...facts, cause });
    }
    exchange.send(showOutcome(outcome, exchange.id));
  };
}

/** A public document about where and how to sign in. */
function document(needs: EndpointNeeds, make: () => Promise<Reply>): Endpoint {
  return async ({ exchange, target }) => {
    needs.metrics.request('endpoint');
    if (exchange.head.method !== 'GET' && exchange.head.method !== 'HEAD')
      return exchange.send(methodRefused(['GET', 'HEAD'], exchange.id));
    try {
      exchange.send(await make());
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause;
      needs.log.warn('document.failed', { id: exchange.id, path: target.path, code: cause.code, cause });
      exchange.send(plainRefusal(refusalFor(cause.code), exchange.id));
    }
  };
}

/** From the head of a call to the last byte of its body. */
const CALL_BODY_MS = 10_000;

/** A method of Flyte's own services, in whichever protocol it is called; every no is said in that protocol, too. */
async function answerRpc(needs: EndpointNeeds, method: FlyteMethod, asked: Asked): Promise<void> {
  const { exchange, target } = asked;
  const { path } = target;
  if (method.kind === 'unknown')
    return needs.turnAway(exchange, { ...refusalFor('route_unknown'), rpc: 'unimplemented' }, { path });
  const misuse = misuseOf(asked, method.httpMethods);
  if (misuse) {
    needs.metrics.request('refused');
    return exchange.send(misuse);
  }
  const admitted = method.needsIdentity ? await admit(needs, asked) : nobody;
  const call = admitted && (await readCall(needs, asked));
  if (!call) return;
  const answered = await method.answer(call, admitted.asking);
  if (answered.kind === 'failed') {
    const { cause } = answered;
    return needs.turnAway(exchange, refusalOf({ kind: 'unavailable', cause }), { path, cause });
  }
  if (answered.kind === 'undecodable') return needs.turnAway(exchange, refusalFor('message_malformed'), { path });
  needs.metrics.request('endpoint');
  const { reply } = answered;
  const { setCookie } = admitted;
  exchange.send(setCookie ? { ...reply, fields: [...reply.fields, 'Set-Cookie', setCookie] } : reply);
}

function misuseOf({ exchange }: Asked, methods: readonly string[]): Reply | undefined {
  if (!methods.includes(exchange.head.method)) return methodRefused(methods, exchange.id);
  // gRPC's status stands in trailers, which HTTP/1.1 callers do not read.
  return callerOf(exchange) === 'grpc' && exchange.head.version !== '2' ? bare(505) : undefined;
}

/** @returns undefined when the caller was told why not, or is gone */
async function readCall(needs: EndpointNeeds, { exchange, target }: Asked): Promise<Call | undefined> {
  const body = await readSmallBody(exchange, { maxBytes: maxCallBytes, timeoutMs: CALL_BODY_MS });
  switch (body.kind) {
    case 'whole':
      return { head: exchange.head, body: body.bytes, id: exchange.id };
    case 'too-long':
      needs.turnAway(exchange, refusalFor('body_too_large'), { path: target.path });
      return undefined;
    case 'too-late':
      exchange.send(bare(408));
      return undefined;
    case 'lost':
      return undefined;
  }
}

interface Admitted {
  readonly asking?: Asking;
  readonly setCookie?: string;
}

const nobody: Admitted = {};

/** Finds out who asks. @returns undefined for one who was turned away */
async function admit(needs: EndpointNeeds, { exchange, target, client }: Asked): Promise<Admitted | undefined> {
  const { fields, method } = exchange.head;
  const { path } = target;
  const credential = readCredential(fields, needs.credentialNames);
  if (credential.kind === 'refused' && credential.status === 400) {
    needs.turnAway(exchange, refusalFor(credential.why), { path });
    return undefined;
  }
  if (isOriginRefused({ method, fields, isWebSocket: false }, credential.kind, needs.origins.has)) {
    needs.turnAway(exchange, refusalFor('origin_refused'), { path });
    return undefined;
  }
  const decision = await needs.decisions.decide(credential, authenticated, exchange.connection, client.address);
  if (decision.kind !== 'allow') {
    const cause = decision.kind === 'unavailable' ? { cause: decision.cause } : {};
    needs.turnAway(exchange, refusalOf(decision), { path, ...cause });
    return undefined;
  }
  // An API key is no token: there is nothing that it could be shown to for more about its app.
  const isToken = credential.kind === 'bearer' && decision.bearer?.kind !== 'obtained';
  const bearer = isToken ? credential.token : undefined;
  const renewed = decision.renewedCookie;
  return {
    asking: { identity: decision.identity, bearer },
    ...(renewed !== undefined && { setCookie: needs.setSession(renewed) }),
  };
}

/** Characters of a User-Agent that are kept: they name browser and system first. */
const LONGEST_USER_AGENT = 256;

function whereabouts({ exchange, client }: Pick<Asked, 'exchange' | 'client'>): Whereabouts {
  const userAgent = (exchange.head.fields.get('user-agent') ?? '').slice(0, LONGEST_USER_AGENT);
  return { userAgent, address: client.address };
}

function oidcRequestOf({ exchange, target, client, origin }: Own): OidcRequest {
  const { fields, method } = exchange.head;
  const optional = (name: keyof OidcRequest, value: string | undefined) =>
    value === undefined ? {} : { [name]: value };
  return {
    method,
    query: target.query,
    origin,
    cookies: fields.all('cookie').join('; '),
    from: whereabouts({ exchange, client }),
    id: exchange.id,
    ...optional('fetchMode', fields.get('sec-fetch-mode')),
    ...optional('fetchSite', fields.get('sec-fetch-site')),
    ...optional('pageOrigin', fields.get('origin')),
    ...optional('proxiedReturnTo', client.trusted ? fields.get('x-auth-request-redirect') : undefined),
  };
}

async function issuerOf(provider: Provider): Promise<string> {
  return (await provider.metadata()).issuer;
}

function seeOther(issuer: string): Reply {
  const to = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  return { status: 303, fields: ['Location', to, ...documentFields] };
}

function json(content: object): Reply {
  return {
    status: 200,
    fields: ['Content-Type', 'application/json', ...documentFields],
    body: JSON.stringify(content),
  };
}

/** What verifiers may keep for five minutes: a new key is published so long before it signs. */
function jwks({ jwks }: EndpointNeeds['assertionKeys']): Reply {
  return { ...json(jwks), fields: ['Content-Type', 'application/json', 'Cache-Control', 'public, max-age=300'] };
}
