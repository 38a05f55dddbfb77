import { createDecisions, type Decisions } from './access/decisions.ts';
import { bytesBesideIdentity } from './access/tell.ts';
import { createAuthenticate } from './authenticate/authenticate.ts';
import { createAuthenticateSession } from './authenticate/session-authenticate.ts';
import type { Config } from './config/config.ts';
import type { Lasting, Newest } from './lasting.ts';
import { createClient } from './oidc/client.ts';
import { createOutbound, type Outbound } from './oidc/outbound.ts';
import { createProvider, type Provider } from './oidc/provider.ts';
import { createRelyingParty, type RelyingParty } from './oidc/relying-party.ts';
import { createServiceToken, type ServiceToken } from './oidc/service-token.ts';
import { createSeal } from './session/seal.ts';
import { type Cookies, createCookies } from './session/session-cookie.ts';
import { createAdditionalIssuers, createWaysIn } from './ways-in.ts';

/** How people and apps prove themselves under one set of settings, and what they may then do. */
export interface Proving {
  readonly newest: Newest;
  readonly cookies: Cookies;
  /** The issuer of people's sign-ins, and the one of access tokens; often the same. */
  readonly provider: Provider;
  readonly authorizationServer: Provider;
  /** All issuers, each once. */
  readonly issuers: ReadonlySet<Provider>;
  readonly relyingParty: RelyingParty;
  readonly serviceToken: ServiceToken | undefined;
  readonly decisions: Decisions;
}

/** @throws {Failure} `config_invalid` when the CA file cannot be read */
export function createProving(config: Config, lasting: Lasting): Proving {
  const { provider, authorizationServer, additionalIssuers } = createProviders(config, lasting);
  const { sameSitePolicy, domain } = config.auth.userAuth.cookieSetting;
  const sameSite = sameSiteOf(sameSitePolicy);
  const secure = !config.server.security.insecureCookieHeader;
  const cookies = createCookies({ sameSite, secure, ...(domain !== undefined && { domain }) });
  const outbound = createOutboundOf(config);
  const seal = createSeal(config.cookieKeys);
  const client = createClient({ ...lasting, ...config.auth.userAuth.openId, provider });
  const relyingParty = createRelyingParty({ ...lasting, config, client, cookies, seal, sameSite });
  const { serviceApp: app } = config;
  return {
    newest: { outbound, client, seal, claims: config.identityHeaders.claims },
    ...{ cookies, provider, authorizationServer, relyingParty },
    issuers: new Set([provider, authorizationServer, ...additionalIssuers.values()]),
    serviceToken: app && createServiceToken({ ...lasting, app, provider: authorizationServer }),
    decisions: createDecider(config, lasting, { authorizationServer, additionalIssuers }),
  };
}

function createOutboundOf({ auth }: Config): Outbound {
  return createOutbound({
    timeoutMs: auth.timeoutMs,
    allowHttp: auth.allowHttpIssuer,
    ...(auth.httpProxyURL !== undefined && { httpProxyURL: auth.httpProxyURL }),
    ...(auth.caFile !== undefined && { caFile: auth.caFile }),
  });
}

interface Issuers {
  readonly authorizationServer: Provider;
  readonly additionalIssuers: ReadonlyMap<string, Provider>;
}

/** The issuer of people's sign-ins and the one of access tokens: one object where they are the same. */
function createProviders({ auth }: Config, lasting: Lasting): Issuers & { readonly provider: Provider } {
  const { openId } = auth.userAuth;
  const { retryAttempts, retryDelayMs, baseUrl, metadataUrl } = auth.appAuth.externalAuthServer;
  const common = { ...lasting, retryAttempts, retryDelayMs };
  const issuer = openId.issuerUrl === undefined ? {} : { issuerUrl: openId.issuerUrl };
  const provider = createProvider({ ...common, ...issuer, baseUrl: openId.baseUrl });
  const additionalIssuers = createAdditionalIssuers(auth.additionalIssuers, common);
  if (baseUrl === openId.baseUrl && metadataUrl === undefined)
    return { provider, authorizationServer: provider, additionalIssuers };
  const elsewhere = metadataUrl === undefined ? {} : { metadataUrl };
  return { provider, authorizationServer: createProvider({ ...common, baseUrl, ...elsewhere }), additionalIssuers };
}

function createDecider(config: Config, lasting: Lasting, issuers: Issuers): Decisions {
  const { renewer, loop } = lasting;
  const identity = { trustUnverifiedEmail: config.auth.trustUnverifiedEmail, claims: config.identityHeaders.claims };
  const limits = config.session;
  const proveSession = createAuthenticateSession({ ...lasting, renew: renewer.renew, limits, identity });
  const authenticate = createAuthenticate({
    token: createWaysIn({ ...lasting, ...issuers, config }),
    session: async (cookie) => {
      const proof = await proveSession(cookie);
      const id = proof.kind === 'proven' ? proof.identity.sessionId : undefined;
      if (id !== undefined) loop.seen({ id });
      return proof;
    },
  });
  const cache = { ...config.decisionCache, besideEach: bytesBesideIdentity(config.upstreams) };
  const issuerScopes = new Map(
    config.auth.additionalIssuers.map(({ issuer, requiredScope }) => [issuer, requiredScope]),
  );
  return createDecisions({ ...lasting, authenticate, issuerScopes, cache });
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
