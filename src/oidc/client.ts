import { errors as jose } from 'jose';
import * as openid from 'openid-client';
import type { ClientSecret } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import type { Clock, Millis, Seconds } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { createAskWith } from './client-secret.ts';
import { type IdTokenClaims, verifyIdToken } from './id-token.ts';
import type { Outbound } from './outbound.ts';
import type { RawClaims } from './person-claims.ts';
import type { Provider, ProviderMetadata } from './provider.ts';
import { clockSentence } from './trouble.ts';

/** What the token endpoint gave. The access token is used for userinfo and, unless sessions keep it, then forgotten. */
export interface Tokens {
  readonly accessToken: string;
  readonly expiresIn?: Seconds;
  readonly refreshToken?: string;
  /** Compact, and verified: signature, `iss`, `aud`, `azp`, times. */
  readonly idToken?: { readonly jwt: string; readonly claims: IdTokenClaims };
  /** Why the one that came with a renewal could not be verified here and now: nobody knows what it says. */
  readonly idTokenUnread?: Failure;
}

/** What the answer of the authorization endpoint is checked against. */
export interface Expected {
  readonly state: string;
  readonly nonce: string;
  /** PKCE code verifier (RFC 7636 §4.1). */
  readonly verifier: string;
}

/**
 * The gateway as the provider's client. What it throws is read by `troubleOf`.
 */
export interface Client {
  readonly issuer: string;
  /** @throws {Failure} `issuer_unreachable` */
  authorizationUrl(parameters: URLSearchParams): Promise<string>;
  /**
   * Checks the provider's answer (`iss` by RFC 9207, then `state`, then `error`), redeems its code and verifies the ID token
   * with its nonce.
   * @param answered the redirect URI with the answer's query
   */
  redeem(answered: URL, expected: Expected): Promise<Tokens>;
  /**
   * What userinfo says of a subject; undefined where the provider has no such endpoint.
   * @param spentMs of the time for one exchange, so much is used up already
   */
  userinfo(accessToken: string, subject: string, spentMs?: Millis): Promise<RawClaims | undefined>;
  /** The ID token of the answer is verified where there is one; its nonce is of no interest (Core §12.2). */
  refresh(refreshToken: string): Promise<Tokens>;
  /** Whether the provider could be asked to forget a refresh token (RFC 7009), and was. */
  revoke(refreshToken: string): Promise<boolean>;
  /** Where to sign out at the provider; undefined where it has no such endpoint. @throws {Failure} `issuer_unreachable` */
  endSessionUrl(parameters: URLSearchParams): Promise<string | undefined>;
}

/** A hundred years: more than clocks are apart. */
const ANY_CLOCK_S: Seconds = 3_155_760_000;

/** Without a secret: a public client, PKCE alone. */
export function createClient(
  needs: Partial<ClientSecret> & { provider: Provider; outbound: Outbound; clientId: string; now: Clock },
): Client {
  const { provider, outbound, clientId, now } = needs;
  const askWith = createAskWith(needs);
  const configured = async (clientSecret?: Secret, spentMs?: Millis) => {
    return configure(await provider.metadata(), { outbound, clientId, clientSecret, now }, spentMs);
  };
  // The library would throw the tokens away with an ID token of other clocks: its times are judged by `readTokens`.
  const configuredForAnyClock = async (clientSecret?: Secret) =>
    configure(await provider.metadata(), { outbound, clientId, clientSecret, now, clockToleranceS: ANY_CLOCK_S });
  return {
    issuer: provider.issuer,
    authorizationUrl: async (parameters) => endpointUrl(await configured(), openid.buildAuthorizationUrl, parameters),
    redeem: async (answered, expected) =>
      readTokens(
        await askWith(async (secret) =>
          openid.authorizationCodeGrant(await configured(secret), answered, {
            expectedState: expected.state,
            expectedNonce: expected.nonce,
            pkceCodeVerifier: expected.verifier,
            idTokenExpected: true,
          }),
        ),
        needs,
      ),
    userinfo: async (accessToken, subject, spentMs) => {
      if ((await provider.metadata()).userinfo_endpoint === undefined) return undefined;
      const configuration = await configured(undefined, spentMs);
      // Only for userinfo that comes as a signed JWT: then its signature counts too.
      openid.enableNonRepudiationChecks(configuration);
      return openid.fetchUserInfo(configuration, accessToken, subject);
    },
    refresh: async (refreshToken) => {
      const answer = await askWith(async (secret) =>
        openid.refreshTokenGrant(await configuredForAnyClock(secret), refreshToken),
      );
      return readTokens(answer, needs).catch((error: unknown) => withoutIdToken(answer, error));
    },
    revoke: async (refreshToken) => {
      if ((await provider.metadata()).revocation_endpoint === undefined) return false;
      await askWith(async (secret) =>
        openid.tokenRevocation(await configured(secret), refreshToken, { token_type_hint: 'refresh_token' }),
      );
      return true;
    },
    endSessionUrl: async (parameters) => {
      if ((await provider.metadata()).end_session_endpoint === undefined) return undefined;
      parameters.set('client_id', clientId);
      return endpointUrl(await configured(), openid.buildEndSessionUrl, parameters);
    },
  };
}

/**
 * The library's view of a provider and of this client: every request goes through `Outbound`, every time is read from our
 * clock.
 *
 * @throws {Failure} `issuer_unreachable`
 */
export function configure(
  metadata: ProviderMetadata,
  needs: {
    outbound: Outbound;
    clientId: string;
    clientSecret?: Secret | undefined;
    now: Clock;
    clockToleranceS?: Seconds;
  },
  spentMs: Millis = 0,
): openid.Configuration {
  const client = {
    // The library reads the system's clock; this makes it read ours.
    [openid.clockSkew]: Math.round((needs.now() - Date.now()) / 1000),
    [openid.clockTolerance]: needs.clockToleranceS ?? 60,
  };
  const authentication = needs.clientSecret ? secretBy(metadata, needs.clientSecret.reveal()) : openid.None();
  if (!isServerMetadata(metadata)) throw new Failure('issuer_unreachable', 'the metadata has no issuer');
  const configuration = new openid.Configuration(metadata, needs.clientId, client, authentication);
  // `Outbound` says which addresses may be spoken to without TLS, and when to give up.
  openid.allowInsecureRequests(configuration);
  configuration.timeout = 0;
  configuration[openid.customFetch] = (url, { method, headers, body }) =>
    needs.outbound.fetch(url, { method, headers, body, spentMs });
  return configuration;
}

/** The metadata came as JSON: its values are what openid-client calls JSON values, and it checks those that it uses. */
function isServerMetadata(metadata: ProviderMetadata): metadata is ProviderMetadata & openid.ServerMetadata {
  return typeof metadata.issuer === 'string';
}

/** `client_secret_basic` unless the provider's metadata leaves it out and has `client_secret_post` (Discovery §3). */
function secretBy(metadata: ProviderMetadata, secret: string): openid.ClientAuth {
  const { token_endpoint_auth_methods_supported: methods } = metadata;
  const isPostOnly =
    Array.isArray(methods) && methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
  return isPostOnly ? openid.ClientSecretPost(secret) : openid.ClientSecretBasic(secret);
}

function endpointUrl(
  configuration: openid.Configuration,
  build: (configuration: openid.Configuration, parameters: URLSearchParams) => URL,
  parameters: URLSearchParams,
): string {
  try {
    return build(configuration, parameters).href;
  } catch (cause) {
    throw new Failure('issuer_unreachable', "the provider's metadata lacks the endpoint", { cause });
  }
}

/**
 * The tokens of a renewal whose ID token could not be verified for want of keys, or as clocks differ. They must not be lost, as
 * the old refresh token is spent; what the ID token says is.
 */
function withoutIdToken(answer: openid.TokenEndpointResponse, error: unknown): Tokens {
  const idTokenUnread = whyUnread(error);
  if (!idTokenUnread) throw error;
  return { ...bareTokens(answer), idTokenUnread };
}

/** What will be otherwise in a while; anything else that is wrong with an ID token is wrong with the answer. */
function whyUnread(cause: unknown): Failure | undefined {
  if (cause instanceof Failure) return cause;
  // A provider may sign with a key in the moment it publishes it, and unknown keys are asked for once in 30 s.
  if (cause instanceof jose.JWKSNoMatchingKey)
    return new Failure('keys_unreachable', 'the ID token is signed by a key that is not known yet', { cause });
  // From the future, or past its expiry as soon as it came.
  const isByClock = cause instanceof jose.JWTClaimValidationFailed && cause.claim === 'nbf';
  if (cause instanceof jose.JWTExpired || isByClock) return new Failure('renewal_failed', clockSentence);
  return undefined;
}

async function readTokens(
  answer: openid.TokenEndpointResponse,
  needs: { provider: Provider; clientId: string; now: Clock },
): Promise<Tokens> {
  const jwt = answer.id_token;
  if (jwt === undefined) return bareTokens(answer);
  return { ...bareTokens(answer), idToken: { jwt, claims: await verifyIdToken(jwt, needs) } };
}

function bareTokens(answer: openid.TokenEndpointResponse): Tokens {
  return {
    accessToken: answer.access_token,
    ...(answer.expires_in === undefined ? {} : { expiresIn: answer.expires_in }),
    ...(answer.refresh_token === undefined ? {} : { refreshToken: answer.refresh_token }),
  };
}
