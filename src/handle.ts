import type { Decision } from './access/decision.ts';
import type { Decisions } from './access/decisions.ts';
import { onceForIdentity } from './access/identity-headers.ts';
import { isOriginRefused } from './access/origin-check.ts';
import { authenticated } from './access/policy.ts';
import type { Admitted, Tell, Told } from './access/tell.ts';
import { refusalFor, refusalOf } from './answer/refusal.ts';
import type { TurnAway } from './answer/turn-away.ts';
import { type Credential, type CredentialNames, readCredential } from './authenticate/credential.ts';
import type { Identity } from './authenticate/identity.ts';
import { Failure } from './failure.ts';
import type { Forward, Forwarded, ForwardPlan } from './forward/forward.ts';
import { pathFact, personDigest } from './observe/facts.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { placeOfTarget } from './oidc/return-to.ts';
import type { FindRoute, Route } from './routing/routes.ts';
import { parseTarget, type Target } from './routing/target.ts';
import { type AppOrigins, ownOrigin } from './server/app-origins.ts';
import type { Exchange, Handler } from './server/exchange.ts';
import type { Client, Origins } from './server/origin.ts';
import type { RequestHead } from './server/request-head.ts';

/** A request whose target and sender are understood. */
export interface Asked {
  readonly exchange: Exchange;
  readonly target: Extract<Target, { kind: 'target' }>;
  readonly client: Client;
  /** The authorized URI that the Host names; undefined for other routed hosts. */
  readonly origin: string | undefined;
}

/** One of the gateway's own URLs. */
export type Endpoint = (asked: Asked & { readonly origin: string }) => void | Promise<void>;

export interface HandleNeeds {
  readonly clientOf: (head: RequestHead) => Client;
  readonly origins: Origins;
  /** Services with hosts of their own, where people come back to after signing in. */
  readonly apps: AppOrigins;
  /** The gateway's own URLs; they answer on authorized-URI hosts only. */
  readonly findEndpoint: (path: string) => Endpoint | undefined;
  readonly findRoute: FindRoute;
  readonly credentialNames: CredentialNames;
  readonly decisions: Pick<Decisions, 'decide'>;
  readonly tell: Tell;
  readonly forward: Forward;
  /** The whole Set-Cookie value for a renewed session. */
  readonly setSession: (cookie: string) => string;
  readonly publicUrl: string;
  readonly turnAway: TurnAway;
  readonly metrics: Metrics;
  /** Whether what a bearer token began ends when that expires. */
  readonly endsBearersAtExpiry: boolean;
  /** Absent when forwarded requests are not to be logged. */
  readonly requestLog: Log | undefined;
}

/**
 * The path of every request: target → own endpoint or route → credential → decision → forward, or answer. Each step
 * can only say no before the next one acts.
 */
export function createHandle(needs: HandleNeeds): Handler {
  return (exchange) => {
    const target = parseTarget(exchange.head.target);
    if (target.kind === 'refused') {
      return needs.turnAway(exchange, refusalFor('target_refused'), { why: target.why });
    }
    const client = needs.clientOf(exchange.head);
    // By either name: a proxy that lets a caller's X-Forwarded-Host through must not turn `/me` into a service's.
    const origin = needs.origins.originFor(client.host) ?? needs.origins.originFor(exchange.head.authority ?? '');
    const endpoint = needs.findEndpoint(target.path);
    if (endpoint && origin !== undefined) return endpoint({ exchange, target, client, origin });
    const asked: Asked = { exchange, target, client, origin };
    const route = needs.findRoute(client.host, target.path);
    if (!route || route.access === 'nobody')
      return needs.turnAway(exchange, refusalFor('route_unknown'), { path: target.path });
    // A proxy in front that asks `/me` under a made-up Host must not hear a service behind say 200.
    if (endpoint && route.host === undefined)
      return needs.turnAway(exchange, refusalFor('host_unknown'), { path: target.path });
    if (route.access === 'public') return pass(needs, asked, route, undefined);
    return guard(needs, asked, route);
  };
}

function guard(needs: HandleNeeds, asked: Asked, route: Route): void | Promise<void> {
  const { exchange, target } = asked;
  const credential = readCredential(exchange.head.fields, needs.credentialNames);
  if (credential.kind === 'refused' && credential.status === 400) {
    return needs.turnAway(exchange, refusalFor(credential.why), { path: target.path });
  }
  const { method, fields } = exchange.head;
  const isWebSocket = exchange.wire.kind === 'upgrade';
  const isOwn = (page: string) => needs.origins.has(page) || isServedBy(needs, asked, route, page);
  if (isOriginRefused({ method, fields, isWebSocket }, credential.kind, isOwn)) {
    return needs.turnAway(exchange, refusalFor('origin_refused'), { path: target.path });
  }
  const decision = needs.decisions.decide(credential, authenticated, exchange.connection, asked.client.address);
  if (decision instanceof Promise)
    return decision.then((made) => act(needs, asked, route, { credential, decision: made }));
  return act(needs, asked, route, { credential, decision });
}

/** On a host that a route names, the pages of that very host are its service's own, as far as what is sent there goes. */
function isServedBy({ publicUrl }: HandleNeeds, { client }: Asked, route: Route, page: string): boolean {
  return route.host !== undefined && page === ownOrigin(client.host, publicUrl, client.scheme);
}

interface Judged {
  readonly credential: Credential;
  readonly decision: Decision;
}

function act(needs: HandleNeeds, asked: Asked, route: Route, { credential, decision }: Judged): void | Promise<void> {
  if (decision.kind === 'allow') {
    // A session's request may carry an `authorization` that nobody looked at; API keys and opaque tokens stay here.
    const isJwt = credential.kind === 'bearer' && decision.bearer?.kind === 'as-sent';
    const bearer = isJwt ? credential.token : undefined;
    return pass(needs, asked, route, { allow: decision, bearer });
  }
  return needs.turnAway(asked.exchange, refusalOf(decision), {
    path: asked.target.path,
    signInAt: signInAt(needs, asked),
    ...(decision.kind === 'unavailable' && { cause: decision.cause }),
  });
}

/** Said on public routes, where no credential was looked at. */
const nothing: Told = { identity: [], bearer: undefined, authorization: undefined };

/** @param admitted undefined on a public route */
function pass(needs: HandleNeeds, asked: Asked, route: Route, admitted: Admitted | undefined): Promise<void> {
  const told = admitted ? needs.tell(route.upstream, admitted) : nothing;
  if (!(told instanceof Promise)) return send(needs, asked, route, { admitted, told });
  return told.then(
    (said) => send(needs, asked, route, { admitted, told: said }),
    (cause: unknown) => {
      if (!(cause instanceof Failure)) throw cause;
      needs.turnAway(asked.exchange, refusalFor(cause.code), { path: asked.target.path, cause });
    },
  );
}

interface Sent {
  readonly admitted: Admitted | undefined;
  readonly told: Told;
}

function send(needs: HandleNeeds, asked: Asked, route: Route, sent: Sent): Promise<void> {
  // One promise for a request, not an async function in each room that it passes: they cost as much as the header rules.
  return needs.forward(asked.exchange, planOf(needs, asked, route, sent)).then((forwarded) => {
    if (forwarded.kind === 'failed') {
      const { code, cause } = forwarded;
      // Signed out while it waited for its answer: that is said like any other sign-out.
      const isOver = code === 'session_revoked' || code === 'session_expired';
      const signIn = isOver || code === 'token_expired' ? { signInAt: signInAt(needs, asked) } : {};
      needs.turnAway(asked.exchange, refusalFor(code, isOver), { path: asked.target.path, cause, ...signIn });
      return;
    }
    needs.metrics.request('forwarded');
    needs.requestLog?.info('request.forwarded', factsOf(asked, route, forwarded, sent.admitted?.allow.identity));
  });
}

function planOf(needs: HandleNeeds, asked: Asked, route: Route, { admitted, told }: Sent): ForwardPlan {
  const plan: ForwardPlan = {
    upstream: route.upstream,
    identity: told.identity,
    bearer: told.bearer,
    authorization: told.authorization,
    isPublic: route.access === 'public',
    maxBodyBytes: route.maxBodyBytes,
    life: lifeOf(needs, admitted?.allow.identity),
    client: asked.client,
  };
  const renewed = admitted?.allow.renewedCookie;
  return renewed === undefined ? plan : { ...plan, setCookie: needs.setSession(renewed) };
}

function lifeOf(needs: HandleNeeds, identity: Identity | undefined): Identity | undefined {
  return identity?.session !== undefined || needs.endsBearersAtExpiry ? identity : undefined;
}

/** Where a person signs in to come back here; a way back that is too long to carry is left out. */
function signInAt(needs: HandleNeeds, { origin, target, client }: Asked): string {
  if (origin !== undefined) return signInFor('/login', placeOfTarget(target, origin));
  const app = needs.apps.originFor(client.host);
  const back = app === undefined ? undefined : placeOfTarget(target, app);
  return signInFor(`${needs.publicUrl}/login`, back === undefined ? undefined : `${app}${back}`);
}

function signInFor(login: string, back: string | undefined): string {
  return back === undefined ? login : `${login}?redirect_url=${encodeURIComponent(back)}`;
}

function factsOf(
  asked: Asked,
  route: Route,
  forwarded: Forwarded,
  identity: Identity | undefined,
): Record<string, unknown> {
  const { exchange, target, client } = asked;
  const answered = forwarded.kind === 'answered' ? forwarded : undefined;
  // One object of one form, as this is made for every request: what is undefined is left out of the line.
  return {
    id: exchange.id,
    method: exchange.head.method,
    host: client.host,
    path: pathFact(target.path),
    route: route.path,
    upstream: route.upstream,
    client: client.address,
    requestId: client.requestId,
    kind: identity?.kind,
    subject: identity && digestOf(identity),
    status: answered?.status,
    bytes: answered?.bytes,
    complete: answered?.complete,
    abandoned: answered ? undefined : true,
    tookMs: Math.round((performance.now() - exchange.startedAt) * 10) / 10,
  };
}

const digestOf = onceForIdentity(({ issuer, subject }) => personDigest(issuer, subject));
