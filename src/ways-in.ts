import type { AuthenticateBearer } from './authenticate/authenticate.ts';
import { type BearerNeeds, createAuthenticateBearer, createProveByIssuer } from './authenticate/bearer.ts';
import { createEnter, type Enter } from './authenticate/enter.ts';
import { createAuthenticateApiKey } from './authenticate/exchange-api-key.ts';
import { createFailedTries, type FailureLimits } from './authenticate/failed-tries.ts';
import { createAuthenticateOpaque } from './authenticate/introspection.ts';
import { createAuthenticateToken } from './authenticate/jwt.ts';
import { audiencesOf } from './authenticate/token-proof.ts';
import type { AdditionalIssuer, Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { createClientCredentials } from './oidc/client-credentials.ts';
import { createIntrospect } from './oidc/introspect.ts';
import type { Outbound } from './oidc/outbound.ts';
import type { Provider, ProviderPlace } from './oidc/provider.ts';

export interface WaysInNeeds {
  readonly config: Config;
  /** The first issuer of access tokens. */
  readonly authorizationServer: Provider;
  /** The further ones, by their names. */
  readonly additionalIssuers: ReadonlyMap<string, Provider>;
  readonly outbound: Outbound;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly now: Clock;
}

/** Every way in by a bearer token, as the settings have it: JWTs of each issuer, opaque tokens, API keys. */
export function createWaysIn(needs: WaysInNeeds): AuthenticateBearer {
  const { config, log } = needs;
  const hosts = hostsOf(config);
  const ways: BearerNeeds = {
    jwt: createJwtProof(needs),
    isOurHost: (host) => hosts.has(host),
    log,
    ...(config.auth.introspection && { opaque: createOpaqueProof(needs, config.auth.introspection) }),
    ...(config.auth.apiKeys.enabled && { apiKey: createApiKeyProof(needs) }),
  };
  return createAuthenticateBearer(ways);
}

/** The providers of further access tokens, by the names that their tokens say. */
export function createAdditionalIssuers(
  issuers: readonly AdditionalIssuer[],
  create: (place: ProviderPlace) => Provider,
): ReadonlyMap<string, Provider> {
  return new Map(
    issuers.map(({ issuer, jwksUrl, metadataUrl }) => [
      issuer,
      create({
        baseUrl: issuer,
        ...(jwksUrl !== undefined && { jwksUrl }),
        ...(metadataUrl !== undefined && { metadataUrl }),
      }),
    ]),
  );
}

function createJwtProof({ config, authorizationServer, additionalIssuers, log, now }: WaysInNeeds) {
  const { authorizedUris, appAuth } = config.auth;
  const common = { identity: identityOf(config), log, now };
  const first = createAuthenticateToken({
    ...common,
    keys: authorizationServer.keys,
    outage: authorizationServer.outage,
    issuer: async () => (await authorizationServer.metadata()).issuer,
    authorizedUris,
    allowedAudience: appAuth.externalAuthServer.allowedAudience,
  });
  const others = config.auth.additionalIssuers.flatMap(({ issuer, audiences }) => {
    const provider = additionalIssuers.get(issuer);
    if (!provider) return [];
    const { keys, outage } = provider;
    const prove = createAuthenticateToken({
      ...common,
      ...{ keys, outage },
      issuer: async () => issuer,
      authorizedUris: [],
      allowedAudience: audiences,
    });
    return [[issuer, prove] as const];
  });
  return createProveByIssuer(first, new Map(others));
}

function createOpaqueProof(needs: WaysInNeeds, settings: NonNullable<Config['auth']['introspection']>) {
  const { config, authorizationServer: provider, metrics, log, now } = needs;
  const { maxAgeMs, failuresPerAddress, failuresInAll, ...client } = settings;
  return createAuthenticateOpaque({
    introspect: createIntrospect({ ...needs, ...client, provider }),
    audiences: audiencesOf({ ...config.auth, ...config.auth.appAuth.externalAuthServer }),
    identity: identityOf(config),
    maxAgeMs,
    enter: createLimits(needs, 'introspection', { address: failuresPerAddress, all: failuresInAll }),
    ...{ metrics, log, now },
  });
}

function createApiKeyProof(needs: WaysInNeeds): NonNullable<BearerNeeds['apiKey']> {
  const { config, authorizationServer: provider, outbound, metrics, log, now } = needs;
  const { scopes, failuresPerClient: client, failuresPerAddress: address, failuresInAll: all } = config.auth.apiKeys;
  const { audience } = config.auth.appAuth.thirdPartyConfig.flyteClient;
  const optional = audience === undefined ? {} : { audience };
  const obtain = createClientCredentials({ provider, outbound, scopes, now, ...optional });
  const hosts = hostsOf(config);
  const enter = createLimits(needs, 'api_key', { client, address, all });
  return (prove) => createAuthenticateApiKey({ obtain, prove, hosts, enter, metrics, log, now });
}

function createLimits(
  { config, log, now }: WaysInNeeds,
  what: 'api_key' | 'introspection',
  limits: FailureLimits,
): Enter {
  const onFull = (by: string) => log.warn(`${what}.limit_reached`, { by });
  return createEnter({ tries: createFailedTries({ limits, now, onFull }), timeoutMs: config.auth.timeoutMs });
}

/** Hosts of ours, in lower case, without ports. */
function hostsOf({ auth }: Config): ReadonlySet<string> {
  return new Set(auth.authorizedUris.map((uri) => new URL(uri).hostname));
}

function identityOf({ auth, identityHeaders }: Config) {
  return { trustUnverifiedEmail: auth.trustUnverifiedEmail, claims: identityHeaders.claims };
}
