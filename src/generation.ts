import { createAssert } from './access/assertion.ts';
import { createAssertionKeys } from './access/assertion-keys.ts';
import { createIdentityHeaders, createIsIdentityHeader } from './access/identity-headers.ts';
import { createTell } from './access/tell.ts';
import { createTurnAway } from './answer/turn-away.ts';
import type { Config } from './config/config.ts';
import { createEndpoints } from './endpoints.ts';
import { Failure } from './failure.ts';
import { createUserInfo } from './flyte/user-info.ts';
import { createForward, type Forward, type ForwardNeeds } from './forward/forward.ts';
import type { UpstreamConnections } from './forward/upstream.ts';
import { createHandle } from './handle.ts';
import type { Lasting, Newest } from './lasting.ts';
import { createClient } from './oidc/client.ts';
import type { Provider } from './oidc/provider.ts';
import { inherit, type Part } from './part.ts';
import { createProving, type Proving } from './proving.ts';
import { createRoutes } from './routing/routes.ts';
import { createAppOrigins } from './server/app-origins.ts';
import type { Handler } from './server/exchange.ts';
import { createClientOf, createOrigins } from './server/origin.ts';

/** Everything that is made of one set of settings: the path of a request from the handler to the upstreams. */
export interface Generation {
  readonly config: Config;
  readonly handler: Handler;
  /** To be followed by what outlives it, before the first request. */
  readonly newest: Newest;
  /** All issuers, each once. */
  readonly issuers: ReadonlySet<Provider>;
  /** Connections to upstreams; some may be those of an earlier or later generation, too. */
  readonly connections: ReadonlySet<UpstreamConnections>;
  /** Fetches what is needed of providers before anybody needs it. Failures are logged where they happen. */
  warmUp(): void;
  /** In place of all that: ends what was made for settings that are not taken over. */
  discard(): void;
  /** Waits for what is being said to the provider. Never throws. */
  settled(): Promise<void>;
  /** What the next one may go on with. */
  readonly parts: { readonly proving: Proving; readonly connections: ConnectionParts };
}

/** By the names of the upstreams. */
type ConnectionParts = ReadonlyMap<string, Part<UpstreamConnections>>;

/**
 * Nothing is opened yet.
 *
 * @param before the settings until now; what would be made of the same goes on
 * @throws {Failure} `config_invalid` when a certificate, key or CA file cannot be used
 */
export function createGeneration(config: Config, lasting: Lasting, before?: Generation): Generation {
  const proving = createProving(config, lasting, before?.parts.proving);
  const connections = new Map<string, Part<UpstreamConnections>>();
  const connect = createConnect(config, connections, before?.parts.connections);
  try {
    const forward = createForwardOf(config, lasting, { proving, connect });
    const { newest, issuers, serviceToken, relyingParty } = proving;
    return {
      ...{ config, newest, issuers },
      handler: createHandler(config, lasting, { ...proving, forward }),
      connections: new Set([...connections.values()].map(({ value }) => value)),
      warmUp: () => {
        for (const issuer of issuers) issuer.warmUp();
        serviceToken?.warmUp();
      },
      discard: () => giveUp(proving, connections, before),
      settled: relyingParty.settled,
      parts: { proving, connections },
    };
  } catch (cause) {
    giveUp(proving, connections, before);
    throw cause;
  }
}

type Connect = NonNullable<ForwardNeeds['connect']>;

function createConnect(
  { server, pemFiles }: Config,
  made: Map<string, Part<UpstreamConnections>>,
  before: ConnectionParts = new Map(),
): Connect {
  return (upstream, make) => {
    const { name, caFile = '', clientCertificate: own } = upstream;
    const files = [caFile, own?.certFile ?? '', own?.keyFile ?? ''].map((file) => pemFiles[file]);
    const part = inherit(before.get(name), [upstream, files, server.limits.streamWindow], make);
    made.set(name, part);
    return part.value;
  };
}

/** Ends what was made for settings that turned out to be of no use. */
function giveUp(proving: Proving, made: ConnectionParts, before: Generation | undefined): void {
  const all = [...made.values()].filter(({ value }) => !before?.connections.has(value));
  const ends = [proving.newest.outbound.close(), ...all.map(({ value }) => value.close())];
  // Safe: nothing was opened with them yet.
  for (const end of ends) end.catch(() => undefined);
}

function createForwardOf(
  config: Config,
  { log, metrics, underWay }: Lasting,
  { proving, connect }: { readonly proving: Proving; readonly connect: Connect },
): Forward {
  return createForward({
    upstreams: config.upstreams,
    isIdentityHeader: createIsIdentityHeader(config.identityHeaders.strip),
    isOurCookie: proving.cookies.isOurs,
    flyteHeaders: flyteHeadersOf(config),
    limits: config.server.limits,
    ...{ log, metrics, connect, underWay },
  }).forward;
}

/** flyteadmin has one name for gRPC and one for all else, nearly always the same: a credential counts under either. */
function flyteHeadersOf({ auth }: Config): readonly string[] {
  const names = new Set([auth.grpcAuthorizationHeader, auth.httpAuthorizationHeader]);
  return [...names].filter((name) => name !== 'authorization');
}

function createHandler(config: Config, lasting: Lasting, way: Proving & { readonly forward: Forward }): Handler {
  const { log, metrics, now, store, revocations } = lasting;
  const { cookies, provider, authorizationServer, relyingParty, decisions, serviceToken, forward } = way;
  const maxAgeS = Math.floor(config.session.absoluteMs / 1000);
  const clearSession = cookies.clearSession();
  const identityHeaders = createIdentityHeaders({ claims: config.identityHeaders.claims, log });
  const common = {
    turnAway: createTurnAway({ log, metrics, clearSession }),
    decisions,
    metrics,
    setSession: (value: string) => cookies.setSession(value, maxAgeS),
    credentialNames: { flyteHeaders: flyteHeadersOf(config), sessionCookie: cookies.sessionName },
    origins: createOrigins(config.auth.authorizedUris),
  };
  const assertionKeys = createAssertionKeys(config.assertionKeys);
  const { publicUrl, trustedProxies } = config.server;
  const { domain } = config.auth.userAuth.cookieSetting;
  return createHandle({
    ...common,
    findEndpoint: createEndpoints({
      ...{ ...common, config, log, now, identityHeaders, assertionKeys, clearSession },
      ...{ provider, authorizationServer, relyingParty, store, revocations },
      userInfo: createTellUserInfo(config, lasting, authorizationServer),
    }),
    tell: createTell({
      upstreams: config.upstreams,
      identityHeaders,
      assert: createAssert({ issuer: publicUrl, keys: assertionKeys, now, log }),
      serviceToken: serviceToken?.get ?? noServiceApp,
      onKept: decisions.grow,
      now,
    }),
    clientOf: createClientOf(trustedProxies),
    apps: createAppOrigins({ publicUrl, cookieDomain: domain, routes: config.routes }),
    findRoute: createRoutes(config.routes),
    forward,
    publicUrl,
    endsBearersAtExpiry: config.streams.endAtExpiry,
    requestLog: config.log.requests ? log : undefined,
  });
}

/** The settings see to it that whoever needs a service app has one. */
async function noServiceApp(): Promise<string> {
  throw new Failure('internal', 'an upstream is sent the token of a service app that there is none of');
}

/** Asks about access tokens where they come from, as the client that Flyte's command line and SDK sign in with. */
function createTellUserInfo(config: Config, { log, now, outbound }: Lasting, provider: Provider) {
  const { clientId } = config.auth.appAuth.thirdPartyConfig.flyteClient;
  const client = createClient({ provider, outbound, clientId, now });
  const ask = (token: string, subject: string) => client.userinfo(token, subject);
  return createUserInfo({ issuer: provider.issuer, ask, patienceMs: 3000, now, log });
}
