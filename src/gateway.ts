import { readFile } from 'node:fs/promises';
import { createDecisions, type Decisions } from './access/decisions.ts';
import { createIdentityHeaders, createIsIdentityHeader } from './access/identity-headers.ts';
import { createTurnAway } from './answer/turn-away.ts';
import { createAuthenticate } from './authenticate/authenticate.ts';
import type { CredentialNames } from './authenticate/credential.ts';
import { createAuthenticateToken } from './authenticate/jwt.ts';
import { createAuthenticateSession } from './authenticate/session-authenticate.ts';
import type { Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { createEndpoints } from './endpoints.ts';
import { createForward } from './forward/forward.ts';
import { createHandle } from './handle.ts';
import { createAdminServer } from './observe/admin.ts';
import { canConnect, type Readiness } from './observe/health.ts';
import { createLog, type Log, type LogOutput } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { createCallback } from './oidc/callback.ts';
import { createClient } from './oidc/client.ts';
import { createFindSession } from './oidc/find-session.ts';
import { createLogin } from './oidc/login.ts';
import { createLoginStates } from './oidc/login-state.ts';
import { createLogout } from './oidc/logout.ts';
import { createOutbound } from './oidc/outbound.ts';
import { createPlaces } from './oidc/place.ts';
import { createProvider, type Provider } from './oidc/provider.ts';
import { createRenew } from './oidc/renew.ts';
import { createSignInLoop } from './oidc/sign-in-loop.ts';
import { createRoutes } from './routing/routes.ts';
import { callerOf } from './server/caller.ts';
import type { Exchange } from './server/exchange.ts';
import { createListener } from './server/listen.ts';
import { createClientOf, createOrigins } from './server/origin.ts';
import { createCookieStore } from './session/cookie-store.ts';
import { createMemoryStore } from './session/memory-store.ts';
import { createRevocations } from './session/revocations.ts';
import { createSeal } from './session/seal.ts';
import { createCookies } from './session/session-cookie.ts';
import type { SessionStore } from './session/store.ts';

/** The whole gateway: what `flytegate serve` runs. */
export interface Gateway {
  /** Opens both ports. @returns where they are, with the ports that the system chose for 0 */
  start(): Promise<{ readonly url: string; readonly admin: string }>;
  /** Readiness off, no new connections, what streams runs on until `server.drain`; then everything ends. */
  stop(): Promise<void>;
}

/** Revocations kept at most: sign-outs within the lifetime of a session. About 200 bytes each. */
const MAX_REVOCATIONS = 500_000;

/** What the rooms share. */
interface Shared {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics & { stop(): void };
  readonly now: Clock;
}

/**
 * Builds every room from the settings; nothing is opened yet.
 *
 * @param needs.now    the wall clock, for tests that move it
 * @param needs.output where log lines go, instead of standard output
 * @throws {Failure} `config_invalid` when a certificate or CA file cannot be read
 */
export async function createGateway(config: Config, needs: { now?: Clock; output?: LogOutput } = {}): Promise<Gateway> {
  const output = needs.output ?? createLog({ level: config.log.level });
  const shared: Shared = { config, log: output.log, metrics: createMetrics(), now: needs.now ?? Date.now };
  const signIn = createSignIn(shared);
  const decisions = createDecider(shared, signIn);
  const { forward, handler } = createWay(shared, { ...signIn, decisions });
  const { tls: files, listen, limits, admin: adminAt, drainMs } = config.server;
  const tls = files && { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  const onRefused = () => shared.metrics.request('refused');
  const listener = createListener({ listen, limits, handler, log: shared.log, onRefused, ...(tls && { tls }) });
  let state: Readiness['state'] = 'starting';
  const readiness = () => readinessOf(state, shared, signIn);
  const admin = createAdminServer({ listen: adminAt, readiness, metrics: shared.metrics });
  return {
    start: async () => {
      const at = await admin.start();
      const { host, port } = await listener.start().catch(async (cause: unknown) => {
        await admin.stop();
        throw cause;
      });
      state = 'serving';
      const urls = { url: urlOf(tls ? 'https' : 'http', host, port), admin: urlOf('http', at.host, at.port) };
      const { publicUrl } = config.server;
      shared.log.info('gateway.started', { ...urls, publicUrl, upstreams: Object.keys(config.upstreams) });
      signIn.warmUp();
      return urls;
    },
    stop: async () => {
      state = 'draining';
      shared.log.info('gateway.draining', { drainMs });
      await listener.stop(drainMs);
      await signIn.settled();
      await Promise.all([forward.close(), signIn.close(), admin.stop()]);
      shared.metrics.stop();
      shared.log.info('gateway.stopped');
      output.flush();
    },
  };
}

/** Everything by which a person comes to have a session, keeps it and loses it. */
function createSignIn(shared: Shared) {
  const { config, log, metrics, now } = shared;
  const { auth } = config;
  const { openId, cookieSetting, idpQueryParameter, redirectUrl } = auth.userAuth;
  const outbound = createOutbound({
    timeoutMs: auth.timeoutMs,
    allowHttp: auth.allowHttpIssuer,
    ...(auth.httpProxyURL !== undefined && { httpProxyURL: auth.httpProxyURL }),
    ...(auth.caFile !== undefined && { caFile: auth.caFile }),
  });
  const { provider, authorizationServer } = createProviders(shared, outbound);
  const seal = createSeal(config.cookieKeys);
  const sameSite = sameSiteOf(cookieSetting.sameSitePolicy);
  const secure = !config.server.security.insecureCookieHeader;
  const cookies = createCookies({
    sameSite,
    secure,
    ...(cookieSetting.domain !== undefined && { domain: cookieSetting.domain }),
  });
  const revocations = createRevocations({
    now,
    max: MAX_REVOCATIONS,
    onEvict: () => log.error('session.revocation_forgotten', { max: MAX_REVOCATIONS }),
  });
  const store = createStore(shared, seal);
  const limits = config.session;
  const client = createClient({
    provider,
    outbound,
    now,
    clientId: openId.clientId,
    ...(openId.clientSecret && { clientSecret: openId.clientSecret }),
  });
  const { claims } = config.identityHeaders;
  const renewer = createRenew({ client, claims, now, log, metrics });
  const findSession = createFindSession({ store, revocations, cookies, limits, now });
  const { authorizedUris } = auth;
  const places = createPlaces({ authorizedUris, redirectUrl });
  const states = createLoginStates({ seal, cookies, now });
  const loop = createSignInLoop({ now });
  const common = { client, places, findSession, store, cookies, limits, now, log, metrics };
  const { clientId, scopes } = openId;
  const { publicUrl } = config.server;
  const login = createLogin({
    ...common,
    clientId,
    scopes,
    states,
    ...(idpQueryParameter !== undefined && { idpQueryParameter }),
  });
  const callback = createCallback({ ...common, claims, states, seal, sameSite, loop });
  const { logout, settled } = createLogout({
    ...common,
    revocations,
    seal,
    publicUrl,
    authorizedUris,
    latest: renewer.latest,
  });
  return {
    ...{ provider, authorizationServer, cookies, revocations, store, loop, renew: renewer.renew },
    ...{ login, callback, logout, settled, close: outbound.close },
    /** Asks for metadata and keys before anybody needs them; failures are logged where they happen. */
    warmUp: () => {
      for (const one of new Set([provider, authorizationServer])) one.warmUp();
    },
  };
}

type SignIn = ReturnType<typeof createSignIn>;

/** The issuer of people's sign-ins and the one of access tokens: one object where they are the same. */
function createProviders(
  shared: Shared,
  outbound: ReturnType<typeof createOutbound>,
): { provider: Provider; authorizationServer: Provider } {
  const { openId } = shared.config.auth.userAuth;
  const { externalAuthServer } = shared.config.auth.appAuth;
  const { retryAttempts, retryDelayMs, baseUrl, metadataUrl } = externalAuthServer;
  const { log, now } = shared;
  const common = { outbound, log, now, retryAttempts, retryDelayMs };
  const issuer = openId.issuerUrl === undefined ? {} : { issuerUrl: openId.issuerUrl };
  const provider = createProvider({ ...common, ...issuer, baseUrl: openId.baseUrl });
  if (baseUrl === openId.baseUrl && metadataUrl === undefined) return { provider, authorizationServer: provider };
  return {
    provider,
    authorizationServer: createProvider({ ...common, baseUrl, ...(metadataUrl !== undefined && { metadataUrl }) }),
  };
}

function createStore({ config, now, log }: Shared, seal: ReturnType<typeof createSeal>): SessionStore {
  const { store, maxSessions, idleMs } = config.session;
  switch (store) {
    case 'cookie':
      return createCookieStore({ seal });
    case 'memory':
      return createMemoryStore({
        seal,
        now,
        max: maxSessions,
        idleMs,
        onEvict: () => log.warn('session.evicted', { maxSessions }),
      });
  }
}

function createDecider({ config, log, metrics, now }: Shared, signIn: SignIn): Decisions {
  const { revocations, store, renew, loop } = signIn;
  const identity = { trustUnverifiedEmail: config.auth.trustUnverifiedEmail, claims: config.identityHeaders.claims };
  const proveToken = createAuthenticateToken({
    keys: signIn.authorizationServer.keys,
    issuer: async () => (await signIn.authorizationServer.metadata()).issuer,
    authorizedUris: config.auth.authorizedUris,
    allowedAudience: config.auth.appAuth.externalAuthServer.allowedAudience,
    ...{ identity, log, now },
  });
  const proveSession = createAuthenticateSession({
    store,
    revocations,
    renew,
    limits: config.session,
    identity,
    log,
    now,
  });
  const authenticate = createAuthenticate({
    token: proveToken,
    session: async (cookie) => {
      const proof = await proveSession(cookie);
      if (proof.kind === 'proven' && proof.identity.sessionId !== undefined)
        loop.seen({ id: proof.identity.sessionId });
      return proof;
    },
  });
  return createDecisions({ authenticate, revocations, cache: config.decisionCache, metrics, log, now });
}

/** The path of a request, from the handler to the upstreams. */
function createWay(shared: Shared, made: SignIn & { readonly decisions: Decisions }) {
  const { config, log, metrics, now } = shared;
  const { cookies, decisions } = made;
  const { grpcAuthorizationHeader, httpAuthorizationHeader, authorizedUris } = config.auth;
  const flyteHeaders = [...new Set([grpcAuthorizationHeader, httpAuthorizationHeader])].filter(
    (name) => name !== 'authorization',
  );
  const isIdentityHeader = createIsIdentityHeader(config.identityHeaders.strip);
  const { upstreams } = config;
  const forward = createForward({
    upstreams,
    isIdentityHeader,
    isOurCookie: cookies.isOurs,
    flyteHeaders,
    log,
    metrics,
  });
  const identityHeaders = createIdentityHeaders({ claims: config.identityHeaders.claims, log });
  const maxAgeS = Math.floor(config.session.absoluteMs / 1000);
  const setSession = (value: string) => cookies.setSession(value, maxAgeS);
  const clearSession = cookies.clearSession();
  const common = {
    decisions,
    identityHeaders,
    setSession,
    credentialNames: createCredentialNames(config, cookies.sessionName),
  };
  const { provider, authorizationServer, login, callback, logout } = made;
  const findEndpoint = createEndpoints({
    ...common,
    ...{ config, clearSession, now, log, metrics },
    ...{ provider, authorizationServer, login, callback, logout },
  });
  const handler = createHandle({
    ...common,
    ...{ findEndpoint, metrics, requestLog: config.log.requests ? log : undefined },
    clientOf: createClientOf(config.server.trustedProxies),
    origins: createOrigins(authorizedUris),
    findRoute: createRoutes(config.routes),
    forward: forward.forward,
    publicUrl: config.server.publicUrl,
    turnAway: createTurnAway({ log, metrics, clearSession }),
  });
  return { forward, handler };
}

/** flyteadmin has one header name for gRPC and one for all else; nearly always the same. */
function createCredentialNames({ auth }: Config, sessionCookie: string): (exchange: Exchange) => CredentialNames {
  const http = { flyteHeader: auth.httpAuthorizationHeader, sessionCookie };
  if (auth.grpcAuthorizationHeader === auth.httpAuthorizationHeader) return () => http;
  const grpc = { flyteHeader: auth.grpcAuthorizationHeader, sessionCookie };
  return (exchange) => (callerOf(exchange).startsWith('grpc') ? grpc : http);
}

async function readinessOf(state: Readiness['state'], { config }: Shared, signIn: SignIn): Promise<Readiness> {
  const upstreams = await Promise.all(
    Object.values(config.upstreams).map(async (upstream) =>
      (await canConnect(upstream, 1000)) ? [] : [`upstream ${upstream.name}`],
    ),
  );
  const { metadata, keys } = signIn.provider.ready;
  const missing = [...(metadata ? [] : ['provider']), ...(keys ? [] : ['keys']), ...upstreams.flat()];
  return { ready: state === 'serving', state, missing };
}

function sameSiteOf(policy: Config['auth']['userAuth']['cookieSetting']['sameSitePolicy']): 'lax' | 'strict' | 'none' {
  switch (policy) {
    case 'DefaultMode':
    case 'LaxMode':
      return 'lax';
    case 'StrictMode':
      return 'strict';
    case 'NoneMode':
      return 'none';
  }
}

function urlOf(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
