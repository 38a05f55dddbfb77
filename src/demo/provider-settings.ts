import {
  type ClientMetadata,
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import type { Account } from './people.ts';
import { deviceCodePage, deviceConfirmPage, logoutPage, messagePage, show } from './provider-pages.ts';
import { createProviderStore } from './provider-store.ts';

/** The three apps that Flyte asks an administrator to register. */
export interface Clients {
  readonly web: { readonly id: string; readonly secret: string };
  readonly native: { readonly id: string; readonly redirectUri: string };
  readonly service: { readonly id: string; readonly secret: string };
}

export interface ProviderNeeds {
  readonly clients: Clients;
  readonly people: readonly Account[];
  /** Origins of the gateway. */
  readonly publicUrls: readonly string[];
  /** `aud` of the access tokens for Flyte. */
  readonly audience: string;
  readonly accessTokenTtlS: number;
  /** Whether each refresh token is good for one use only. */
  readonly strictRotation: boolean;
  /** Private signing keys. */
  readonly jwks: { readonly keys: readonly Record<string, unknown>[] };
  readonly cookieKeys: readonly string[];
}

const DAY_S = 86_400;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** The settings of `oidc-provider` that make it look like an administrator's own, set up for Flyte. */
export function providerSettings(needs: ProviderNeeds): Configuration {
  return {
    adapter: createProviderStore(),
    clients: clientMetadata(needs),
    jwks: { keys: needs.jwks.keys.map((key) => ({ ...key })) } as NonNullable<Configuration['jwks']>,
    cookies: { keys: [...needs.cookieKeys] },
    scopes: ['openid', 'offline_access'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'given_name', 'family_name', 'preferred_username', 'groups'],
      email: ['email', 'email_verified'],
    },
    features: features(needs),
    interactions: { policy: policyWithoutConsent(), url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, sub) => {
      const account = needs.people.find((one) => one.sub === sub);
      return account && { accountId: sub, claims: () => ({ sub, ...account.claims }) };
    },
    loadExistingGrant: (ctx) => grantEverything(ctx, needs.audience),
    // Like many providers in the field: whoever may refresh gets a refresh token, without a consent screen in between.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: needs.strictRotation,
    extraTokenClaims: (_ctx, token) => {
      const account = 'accountId' in token ? needs.people.find((one) => one.sub === token.accountId) : undefined;
      return account ? { ...account.claims } : undefined;
    },
    pkce: { required: (_ctx, client) => client.applicationType === 'native' },
    ttl: {
      AccessToken: needs.accessTokenTtlS,
      AuthorizationCode: 60,
      ClientCredentials: needs.accessTokenTtlS,
      DeviceCode: 600,
      Grant: 14 * DAY_S,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 14 * DAY_S,
      Session: 14 * DAY_S,
    },
    clientBasedCORS: () => false,
    // The gateway is where its operator says, which here is the same machine: a place that the library would not call.
    fetch: (url, { dispatcher: _guard, ...options } = {}) => fetch(url, options),
    renderError: (ctx, out) => {
      const text = `${out.error}${out.error_description ? `: ${out.error_description}` : ''}`;
      show(ctx, messagePage('The provider cannot go on', text));
    },
  };
}

function clientMetadata({ clients, publicUrls }: ProviderNeeds): ClientMetadata[] {
  return [
    {
      client_id: clients.web.id,
      client_secret: clients.web.secret,
      client_name: 'Flyte console',
      application_type: 'web',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: publicUrls.map((url) => `${url}/callback`),
      post_logout_redirect_uris: publicUrls.map((url) => `${url}/logout`),
      backchannel_logout_uri: `${publicUrls[0]}/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
    {
      client_id: clients.native.id,
      client_name: 'Flyte SDK and CLI',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
      response_types: ['code'],
      redirect_uris: [clients.native.redirectUri],
    },
    {
      client_id: clients.service.id,
      client_secret: clients.service.secret,
      client_name: 'Flyte services',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ];
}

function features(needs: ProviderNeeds): NonNullable<Configuration['features']> {
  const formTargets = needs.publicUrls;
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => client.clientAuthMethod !== 'none' || token.clientId === client.clientId,
    },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    userinfo: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) =>
        show(ctx, logoutPage(form, { isAsked: !ctx.oidc.entities.IdTokenHint, formTargets })),
      postLogoutSuccessSource: (ctx) => show(ctx, messagePage('Signed out', 'Your session at the provider has ended.')),
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form, _out, err) => show(ctx, deviceCodePage(form, err !== undefined)),
      userCodeConfirmSource: (ctx, form, client, _device, code) =>
        show(ctx, deviceConfirmPage(form, client.clientName ?? client.clientId, code)),
      successSource: (ctx) => show(ctx, messagePage('Connected', 'Your device is signed in. You can close this page.')),
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => needs.audience,
      // The web app reads userinfo with its access token, which an audience would forbid; the SDK calls Flyte with it.
      useGrantedResource: (ctx) => ctx.oidc.client?.applicationType === 'native',
      getResourceServerInfo: (_ctx, resource) => {
        if (resource !== needs.audience) throw new errors.InvalidTarget();
        return {
          scope: 'all',
          audience: needs.audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: needs.accessTokenTtlS,
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  };
}

/** The apps are the house's own: nobody is asked whether they may sign in to them. */
function policyWithoutConsent(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base();
  policy.get('consent')?.checks.remove('native_client_prompt');
  return policy;
}

async function grantEverything(ctx: KoaContextWithOIDC, audience: string) {
  const { client, session, provider, params } = ctx.oidc;
  if (!client || !session?.accountId) return undefined;
  // A grant of its own for each sign-in: revoking one session's refresh token leaves the others alone.
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  if (typeof params?.['scope'] === 'string') grant.addOIDCScope(params['scope']);
  grant.addResourceScope(audience, 'all');
  await grant.save();
  return grant;
}
