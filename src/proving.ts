import { createDecisions, type Decisions } from './access/decisions.ts';
import { signsSomething } from './access/tell.ts';
import { type AuthenticateBearer, createAuthenticate } from './authenticate/authenticate.ts';
import type { Config } from './config/config.ts';
import { fingerprint } from './config/fingerprint.ts';
import type { Lasting, Newest } from './lasting.ts';
import { createClient } from './oidc/client.ts';
import { createOutbound, type Outbound } from './oidc/outbound.ts';
import { createProvider, type Provider, type ProviderPlace } from './oidc/provider.ts';
import { createRelyingParty, type RelyingParty } from './oidc/relying-party.ts';
import { createServiceToken, type ServiceToken } from './oidc/service-token.ts';
import { inherit, type Part } from './part.ts';
import { createProveSession } from './prove-session.ts';
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
  /** What the next settings may go on with. */
  readonly parts: Parts;
}

interface Parts {
  /** Their copies of metadata and keys outlive a change of settings while they cannot be asked. */
  readonly issuers: ReadonlyMap<string, Part<Provider>>;
  readonly serviceToken: Part<ServiceToken | undefined>;
  /** With the tokens of API keys, the answers about opaque ones, and the tries that failed. */
  readonly waysIn: Part<AuthenticateBearer>;
  /** With what was decided: only under the same rules. */
  readonly decisions: Part<Decisions>;
}

/**
 * @param before what the settings until now made
 * @throws {Failure} `config_invalid` when the CA file cannot be read
 */
export function createProving(config: Config, lasting: Lasting, before?: Proving): Proving {
  const known = before?.parts;
  const issuers = createIssuers(config, lasting, known?.issuers);
  const { provider, authorizationServer } = issuers;
  const { sameSitePolicy, domain } = config.auth.userAuth.cookieSetting;
  const sameSite = sameSiteOf(sameSitePolicy);
  const secure = !config.server.security.insecureCookieHeader;
  const cookies = createCookies({ sameSite, secure, ...(domain !== undefined && { domain }) });
  const outbound = createOutboundOf(config);
  const seal = createSeal(config.cookieKeys);
  const client = createClient({ ...lasting, ...config.auth.userAuth.openId, provider });
  const { serviceApp: app } = config;
  const serviceToken = inherit(known?.serviceToken, [app, whoIsAsked(config)], () =>
    app ? createServiceToken({ ...lasting, app, provider: authorizationServer }) : undefined,
  );
  const waysIn = inherit(known?.waysIn, [whoIsAsked(config), config.auth.trustUnverifiedEmail], () =>
    createWaysIn({ ...lasting, ...issuers, config }),
  );
  const decisions = inherit(known?.decisions, [waysIn.madeOf, ...rulesOf(config)], () =>
    createDecider(config, lasting, { token: waysIn.value, issuer: provider.issuer }),
  );
  return {
    newest: { outbound, client, seal, claims: config.identityHeaders.claims, redis: config.redis },
    ...{ cookies, provider, authorizationServer },
    issuers: new Set([...issuers.all.values()].map(({ value }) => value)),
    relyingParty: createRelyingParty({ ...lasting, config, client, provider, cookies, seal, sameSite }),
    serviceToken: serviceToken.value,
    decisions: decisions.value,
    parts: { issuers: issuers.all, serviceToken, waysIn, decisions },
  };
}

/** Everything about bearer tokens and who vouches for them; how providers are reached is `Outbound`'s, and may change. */
function whoIsAsked({ auth, identityHeaders }: Config): unknown {
  const { userAuth, caFile, httpProxyURL, allowHttpIssuer, ...rest } = auth;
  const { baseUrl, issuerUrl } = userAuth.openId;
  return [rest, baseUrl, issuerUrl, identityHeaders.claims];
}

/** What else a decision about a session or a token goes by. */
function rulesOf(config: Config): readonly unknown[] {
  return [config.session, config.cookieKeys, config.decisionCache, signsSomething(config.upstreams)];
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
  readonly provider: Provider;
  /** The same object where people's sign-ins and access tokens have one issuer. */
  readonly authorizationServer: Provider;
  readonly additionalIssuers: ReadonlyMap<string, Provider>;
  /** By what they were made of. */
  readonly all: ReadonlyMap<string, Part<Provider>>;
}

function createIssuers({ auth }: Config, lasting: Lasting, before: Parts['issuers'] = new Map()): Issuers {
  const { openId } = auth.userAuth;
  const { retryAttempts, retryDelayMs, baseUrl, metadataUrl } = auth.appAuth.externalAuthServer;
  const all = new Map<string, Part<Provider>>();
  const create = (where: ProviderPlace): Provider => {
    const settings = { ...where, retryAttempts, retryDelayMs };
    const known = all.get(fingerprint(settings)) ?? before.get(fingerprint(settings));
    const part = inherit(known, settings, () => createProvider({ ...lasting, ...settings }));
    all.set(part.madeOf, part);
    return part.value;
  };
  const issuer = openId.issuerUrl === undefined ? {} : { issuerUrl: openId.issuerUrl };
  const provider = create({ ...issuer, baseUrl: openId.baseUrl });
  const additionalIssuers = createAdditionalIssuers(auth.additionalIssuers, create);
  if (baseUrl === openId.baseUrl && metadataUrl === undefined)
    return { provider, authorizationServer: provider, additionalIssuers, all };
  const elsewhere = metadataUrl === undefined ? {} : { metadataUrl };
  return { provider, authorizationServer: create({ baseUrl, ...elsewhere }), additionalIssuers, all };
}

function createDecider(
  config: Config,
  lasting: Lasting,
  { token, issuer }: { readonly token: AuthenticateBearer; readonly issuer: string },
): Decisions {
  const { trustUnverifiedEmail } = config.auth;
  const identity = { trustUnverifiedEmail, claims: config.identityHeaders.claims, issuer };
  const authenticate = createAuthenticate({
    token,
    session: createProveSession({ ...lasting, limits: config.session, identity }),
  });
  const issuerScopes = new Map(
    config.auth.additionalIssuers.map(({ issuer, requiredScope }) => [issuer, requiredScope]),
  );
  const cache = { ...config.decisionCache, isFixed: !signsSomething(config.upstreams) };
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
