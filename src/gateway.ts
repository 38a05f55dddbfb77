import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAssert } from './access/assertion.ts';
import { createAssertionKeys } from './access/assertion-keys.ts';
import { createDecisions, type Decisions } from './access/decisions.ts';
import { createIdentityHeaders, createIsIdentityHeader } from './access/identity-headers.ts';
import { bytesBesideIdentity, createTell } from './access/tell.ts';
import { createAdminApi } from './admin-api.ts';
import { createTurnAway } from './answer/turn-away.ts';
import { createAuthenticate } from './authenticate/authenticate.ts';
import type { Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { createEndpoints } from './endpoints.ts';
import { Failure } from './failure.ts';
import { createUserInfo } from './flyte/user-info.ts';
import { createForward } from './forward/forward.ts';
import { createUnderWay } from './forward/under-way.ts';
import { createHandle } from './handle.ts';
import { type AdminApi, createAdminServer } from './observe/admin.ts';
import { checkDescriptors, type ReadLimits, readProcessLimits } from './observe/descriptors.ts';
import { canConnectToAny, type Readiness } from './observe/health.ts';
import { createLog, type Log, type LogOutput } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { createClient } from './oidc/client.ts';
import { createOutbound } from './oidc/outbound.ts';
import { createProvider, type Provider } from './oidc/provider.ts';
import { createRelyingParty } from './oidc/relying-party.ts';
import { createServiceToken } from './oidc/service-token.ts';
import { createOperatorSessions } from './operator-sessions.ts';
import { createProveSession } from './prove-session.ts';
import { createRoutes } from './routing/routes.ts';
import { createListener } from './server/listen.ts';
import { createClientOf, createOrigins } from './server/origin.ts';
import { createCookieStore } from './session/cookie-store.ts';
import { createMemoryStore } from './session/memory-store.ts';
import { createRevocations } from './session/revocations.ts';
import { createSeal } from './session/seal.ts';
import { createCookies } from './session/session-cookie.ts';
import type { SessionStore } from './session/store.ts';
import { createAdditionalIssuers, createWaysIn } from './ways-in.ts';

/** The whole gateway: what `flytegate serve` runs. */
export interface Gateway {
  /** Opens both ports. @returns where they are, with the ports that the system chose for 0 */
  start(): Promise<{ readonly url: string; readonly admin: string }>;
  /**
   * Readiness off; for `server.drainDelay` everything is still taken; then no new connections.
   * What streams runs on until `server.drain` is over; then everything ends.
   */
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
 * @param needs.readLimits the limits of this process, for tests
 * @param needs.output where log lines go, instead of standard output
 * @throws {Failure} `config_invalid` when a certificate or CA file cannot be read
 */
export async function createGateway(
  config: Config,
  needs: { now?: Clock; output?: LogOutput; readLimits?: ReadLimits } = {},
): Promise<Gateway> {
  const output = needs.output ?? createLog({ level: config.log.level });
  const shared: Shared = { config, log: output.log, metrics: createMetrics(), now: needs.now ?? Date.now };
  const signIn = createSignIn(shared);
  const decisions = createDecider(shared, signIn);
  const { forward, handler } = createWay(shared, signIn, decisions);
  const { tls: files, listen, limits, admin: adminAt, drainMs, drainDelayMs } = config.server;
  const tls = files && { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  const onRefused = () => shared.metrics.request('refused');
  const listener = createListener({ listen, limits, handler, log: shared.log, onRefused, ...(tls && { tls }) });
  let state: Readiness['state'] = 'starting';
  const readiness = () => readinessOf(state, shared, signIn);
  const api = createApi(shared, signIn);
  const admin = createAdminServer({ listen: adminAt, readiness, metrics: shared.metrics, ...(api && { api }) });
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
      const { readLimits = readProcessLimits } = needs;
      await checkDescriptors({ connections: limits.connections, log: shared.log, readLimits });
      // Before anybody needs them; failures are logged where they happen.
      for (const issuer of issuersOf(signIn)) issuer.warmUp();
      signIn.serviceToken?.warmUp();
      return urls;
    },
    stop: async () => {
      state = 'draining';
      shared.log.info('gateway.draining', { drainMs, drainDelayMs });
      listener.retire();
      // Who comes meanwhile was sent by somebody who has not seen readiness go off.
      if (drainDelayMs > 0) await sleep(drainDelayMs);
      await endStreams(listener, forward, drainMs - drainDelayMs);
      await signIn.relyingParty.settled();
      await Promise.all([signIn.outbound.close(), admin.stop()]);
      shared.metrics.stop();
      shared.log.info('gateway.stopped');
      output.flush();
    },
  };
}

/** How long streams that were told to end may take to say so to their callers. */
const LAST_WORDS_MS = 1000;

/**
 * Lets what has begun run on until the deadline; then breaks it off from the upstream's side, so that each stream ends in
 * its protocol's own words instead of a bare reset, and at last closes every connection.
 */
async function endStreams(
  listener: ReturnType<typeof createListener>,
  forward: { close(): Promise<void> },
  drainMs: number,
): Promise<void> {
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= forward.close();
    return closing;
  };
  const deadline = setTimeout(() => {
    // Safe: the same promise is awaited below, and throws there.
    close().catch(() => undefined);
  }, drainMs);
  await listener.stop(drainMs + LAST_WORDS_MS);
  clearTimeout(deadline);
  await close();
}

/** How people and apps prove themselves: the providers, and what is remembered of who signed in. */
function createSignIn(shared: Shared) {
  const { config, log, now } = shared;
  const { auth } = config;
  const outbound = createOutbound({
    timeoutMs: auth.timeoutMs,
    allowHttp: auth.allowHttpIssuer,
    ...(auth.httpProxyURL !== undefined && { httpProxyURL: auth.httpProxyURL }),
    ...(auth.caFile !== undefined && { caFile: auth.caFile }),
  });
  const { provider, authorizationServer } = createProviders(shared, outbound);
  const { retryAttempts, retryDelayMs } = auth.appAuth.externalAuthServer;
  const asking = { outbound, log, now, retryAttempts, retryDelayMs };
  const additionalIssuers = createAdditionalIssuers(auth.additionalIssuers, asking);
  const { sameSitePolicy, domain } = auth.userAuth.cookieSetting;
  const sameSite = sameSiteOf(sameSitePolicy);
  const secure = !config.server.security.insecureCookieHeader;
  const cookies = createCookies({ sameSite, secure, ...(domain !== undefined && { domain }) });
  const onEvict = () => log.error('session.revocation_forgotten', { max: MAX_REVOCATIONS });
  const revocations = createRevocations({ now, max: MAX_REVOCATIONS, onEvict });
  const underWay = createUnderWay({ isRevoked: revocations.isRevoked, now, log });
  revocations.subscribe(underWay.revoked);
  const seal = createSeal(config.cookieKeys);
  const store = createStore(shared, seal);
  const kept = { provider, outbound, store, revocations, cookies, underWay };
  const relyingParty = createRelyingParty({ ...shared, ...kept, seal, sameSite });
  const { serviceApp: app } = config;
  const serviceToken = app && createServiceToken({ app, provider: authorizationServer, outbound, now, log });
  return { ...kept, authorizationServer, additionalIssuers, relyingParty, serviceToken };
}

type SignIn = ReturnType<typeof createSignIn>;

function issuersOf({ provider, authorizationServer, additionalIssuers }: SignIn): ReadonlySet<Provider> {
  return new Set([provider, authorizationServer, ...additionalIssuers.values()]);
}

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
  const { store, maxSessions, idleMs, absoluteMs } = config.session;
  switch (store) {
    case 'cookie':
      return createCookieStore({ seal });
    case 'memory':
      return createMemoryStore({
        seal,
        now,
        max: maxSessions,
        idleMs,
        absoluteMs,
        onEvict: (_id, madeRoomFor) => log.warn('session.evicted', { madeRoomFor }),
      });
  }
}

/** What operators may do, where there is a token for it. */
function createApi({ config, log, now }: Shared, { store, revocations, provider }: SignIn): AdminApi | undefined {
  const { adminToken: token, session: limits } = config;
  const sessions = createOperatorSessions({ store, revocations, limits, log, now });
  return token && createAdminApi({ token, sessions, issuer: provider.issuer, log, now });
}

function createDecider(shared: Shared, signIn: SignIn): Decisions {
  const { config, log, metrics, now } = shared;
  const { revocations } = signIn;
  const identity = { trustUnverifiedEmail: config.auth.trustUnverifiedEmail, claims: config.identityHeaders.claims };
  const authenticate = createAuthenticate({
    token: createWaysIn({ ...shared, ...signIn }),
    session: createProveSession({ ...shared, ...signIn, limits: config.session, identity }),
  });
  const cache = { ...config.decisionCache, besideEach: bytesBesideIdentity(config.upstreams) };
  const issuerScopes = new Map(
    config.auth.additionalIssuers.map(({ issuer, requiredScope }) => [issuer, requiredScope]),
  );
  return createDecisions({ authenticate, revocations, issuerScopes, cache, metrics, log, now });
}

/** The path of a request, from the handler to the upstreams. */
function createWay(shared: Shared, signIn: SignIn, decisions: Decisions) {
  const { config, log, metrics } = shared;
  const { cookies, underWay } = signIn;
  const { grpcAuthorizationHeader, httpAuthorizationHeader, authorizedUris } = config.auth;
  const { claims, strip } = config.identityHeaders;
  // flyteadmin has one name for gRPC and one for all else, nearly always the same: a credential counts under either.
  const names = new Set([grpcAuthorizationHeader, httpAuthorizationHeader]);
  const flyteHeaders = [...names].filter((name) => name !== 'authorization');
  const forward = createForward({
    upstreams: config.upstreams,
    isIdentityHeader: createIsIdentityHeader(strip),
    isOurCookie: cookies.isOurs,
    flyteHeaders,
    limits: config.server.limits,
    underWay,
    log,
    metrics,
  });
  const maxAgeS = Math.floor(config.session.absoluteMs / 1000);
  const clearSession = cookies.clearSession();
  const identityHeaders = createIdentityHeaders({ claims, log });
  const turnAway = createTurnAway({ log, metrics, clearSession });
  const common = {
    turnAway,
    decisions,
    metrics,
    setSession: (value: string) => cookies.setSession(value, maxAgeS),
    credentialNames: { flyteHeaders, sessionCookie: cookies.sessionName },
    origins: createOrigins(authorizedUris),
  };
  const assertionKeys = createAssertionKeys(config.assertionKeys);
  const { provider, authorizationServer, relyingParty, store, revocations } = signIn;
  const handler = createHandle({
    ...common,
    findEndpoint: createEndpoints({
      ...shared,
      ...common,
      identityHeaders,
      assertionKeys,
      clearSession,
      provider,
      authorizationServer,
      ...{ relyingParty, store, revocations },
      userInfo: createTellUserInfo(shared, signIn),
    }),
    tell: createTell({
      upstreams: config.upstreams,
      identityHeaders,
      assert: createAssert({ issuer: config.server.publicUrl, keys: assertionKeys, now: shared.now, log }),
      serviceToken: signIn.serviceToken?.get ?? noServiceApp,
      now: shared.now,
    }),
    clientOf: createClientOf(config.server.trustedProxies),
    findRoute: createRoutes(config.routes),
    forward: forward.forward,
    publicUrl: config.server.publicUrl,
    endsBearersAtExpiry: config.streams.endAtExpiry,
    requestLog: config.log.requests ? log : undefined,
  });
  return { forward, handler };
}

/** The settings see to it that whoever needs a service app has one. */
async function noServiceApp(): Promise<string> {
  throw new Failure('internal', 'an upstream is sent the token of a service app that there is none of');
}

/** Asks about access tokens where they come from, as the client that Flyte's command line and SDK sign in with. */
function createTellUserInfo({ config, log, now }: Shared, { authorizationServer, outbound }: SignIn) {
  const { clientId } = config.auth.appAuth.thirdPartyConfig.flyteClient;
  const client = createClient({ provider: authorizationServer, outbound, clientId, now });
  const ask = (token: string, subject: string) => client.userinfo(token, subject);
  return createUserInfo({ issuer: authorizationServer.issuer, ask, patienceMs: 3000, now, log });
}

async function readinessOf(state: Readiness['state'], { config }: Shared, signIn: SignIn): Promise<Readiness> {
  const upstreams = await Promise.all(
    Object.values(config.upstreams).map(async (upstream) =>
      (await canConnectToAny(upstream.targets, 1000)) ? [] : [`upstream ${upstream.name}`],
    ),
  );
  const issuers = [...issuersOf(signIn)].flatMap(({ issuer, ready }) => [
    ...(ready.metadata ? [] : [`provider ${issuer}`]),
    ...(ready.keys ? [] : [`keys of ${issuer}`]),
  ]);
  const missing = [...issuers, ...upstreams.flat()];
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
