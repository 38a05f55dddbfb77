import { createAssert } from './access/assertion.ts';
import { createAssertionKeys } from './access/assertion-keys.ts';
import { createIdentityHeaders, createIsIdentityHeader } from './access/identity-headers.ts';
import { createTell } from './access/tell.ts';
import { createTurnAway } from './answer/turn-away.ts';
import type { Config } from './config/config.ts';
import { createEndpoints } from './endpoints.ts';
import { Failure } from './failure.ts';
import { createUserInfo } from './flyte/user-info.ts';
import { createForward, type Forward } from './forward/forward.ts';
import { createHandle } from './handle.ts';
import type { Lasting, Newest } from './lasting.ts';
import { createClient } from './oidc/client.ts';
import type { Provider } from './oidc/provider.ts';
import { createProving, type Proving } from './proving.ts';
import { createRoutes } from './routing/routes.ts';
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
  /** Fetches what is needed of providers before anybody needs it. Failures are logged where they happen. */
  warmUp(): void;
  /** Ends all connections to upstreams at once, and with them what still streams, in its protocol's own words. */
  cut(): Promise<void>;
  /** Waits for what is being said to the provider, and closes the connections to it. */
  close(): Promise<void>;
}

/**
 * Nothing is opened yet.
 * @throws {Failure} `config_invalid` when a certificate, key or CA file cannot be used
 */
export function createGeneration(config: Config, lasting: Lasting): Generation {
  const proving = createProving(config, lasting);
  const { forward, close: cut } = createForwardOf(config, lasting, proving);
  const { newest, issuers, serviceToken, relyingParty } = proving;
  return {
    ...{ config, newest, issuers, cut },
    handler: createHandler(config, lasting, { ...proving, forward }),
    warmUp: () => {
      for (const issuer of issuers) issuer.warmUp();
      serviceToken?.warmUp();
    },
    close: async () => {
      await relyingParty.settled();
      await newest.outbound.close();
    },
  };
}

function createForwardOf(config: Config, { log, metrics }: Lasting, { cookies }: Proving) {
  return createForward({
    upstreams: config.upstreams,
    isIdentityHeader: createIsIdentityHeader(config.identityHeaders.strip),
    isOurCookie: cookies.isOurs,
    flyteHeaders: flyteHeadersOf(config),
    limits: config.server.limits,
    log,
    metrics,
  });
}

/** flyteadmin has one name for gRPC and one for all else, nearly always the same: a credential counts under either. */
function flyteHeadersOf({ auth }: Config): readonly string[] {
  const names = new Set([auth.grpcAuthorizationHeader, auth.httpAuthorizationHeader]);
  return [...names].filter((name) => name !== 'authorization');
}

function createHandler(config: Config, lasting: Lasting, way: Proving & { readonly forward: Forward }): Handler {
  const { log, metrics, now } = lasting;
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
  return createHandle({
    ...common,
    findEndpoint: createEndpoints({
      ...{ ...common, config, log, now, identityHeaders, assertionKeys, clearSession },
      ...{ provider, authorizationServer, relyingParty },
      userInfo: createTellUserInfo(config, lasting, authorizationServer),
    }),
    tell: createTell({
      upstreams: config.upstreams,
      identityHeaders,
      assert: createAssert({ issuer: publicUrl, keys: assertionKeys, now, log }),
      serviceToken: serviceToken?.get ?? noServiceApp,
      now,
    }),
    clientOf: createClientOf(trustedProxies),
    findRoute: createRoutes(config.routes),
    forward,
    publicUrl,
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
