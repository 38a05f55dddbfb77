import { choice, count, duration, flag, ignored, line, listOf, mustBe, parsed } from './rows.ts';
import { additionalIssuers, apiKeys, introspection } from './schema-ways.ts';
import { hidden, optional, type Setting, section } from './setting.ts';
import { parseExactUrl, parseMetadataUrl, parseNativeRedirect, parseOrigin, parseReturnTo } from './urls.ts';
import { type Parsed, parseCredentialHeader } from './values.ts';

/** What secret files are called where the settings don't say; flyteadmin's names, but for the last. */
export const secretNames = {
  client: 'oidc_client_secret',
  hash: 'cookie_hash_key',
  block: 'cookie_block_key',
  serviceApp: 'client_secret',
  assertion: 'assertion_key',
  admin: 'admin_token',
} as const;

const issuerUrl = 'the URL of an identity provider, such as https://idp.example.com/oauth2/default';

const bearerHeader = (doc: string) =>
  parsed({
    doc,
    default: 'flyte-authorization',
    type: 'header',
    expects: 'a header name such as flyte-authorization',
    parse: parseCredentialHeader,
  });

// A key pasted where its name belongs must not end up in a message.
const secretName = (doc: string, byDefault: string) =>
  hidden(
    line({
      doc,
      default: byDefault,
      type: 'file name',
      expects: 'the name of a file in secretsDir, not the secret itself',
      max: 253,
      form: /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/,
    }),
  );

const proxy = (doc: string) =>
  optional(
    parsed({
      doc,
      type: 'origin',
      expects: 'the origin of an HTTP proxy, such as http://proxy.example.com:3128',
      example: 'http://proxy.example.com:3128',
      parse: parseOrigin,
    }),
  );

const clientId = {
  type: 'client id',
  expects: 'a client id as the provider shows it',
  max: 256,
  form: /^[\x21-\x7e]+$/,
};

const scopes = (doc: string, byDefault: readonly string[]) =>
  listOf(
    line({ doc, type: 'scope', expects: 'one scope without spaces', max: 128, form: /^[\x21\x23-\x5b\x5d-\x7e]+$/ }),
    { default: byDefault, max: 50 },
  );

const openId = section('The web app that people sign in with', {
  clientId: line({ doc: "the web app's client id", example: 'flyte-web', ...clientId }),
  clientSecretName: hidden(
    parsed({
      doc: 'file of its secret in secretsDir, or on a second line the old one, which is tried, too; "" declares a public client, which has none',
      default: secretNames.client,
      type: 'file name',
      expects: 'the name of a file in secretsDir, not the secret itself',
      parse: parseSecretName,
    }),
  ),
  clientSecretFile: optional(
    hidden(
      line({
        doc: 'path of the secret, instead of a name',
        example: '/etc/secrets/client_secret',
        type: 'path',
        expects: 'the path of a file, not the secret itself',
        max: 1024,
      }),
    ),
  ),
  baseUrl: parsed({
    doc: 'where discovery is asked: the issuer, exactly as the provider writes it',
    type: 'URL',
    expects: issuerUrl,
    example: 'https://idp.example.com/oauth2/default',
    parse: parseExactUrl,
  }),
  issuerUrl: optional(
    parsed({
      doc: 'the issuer that tokens name, when baseUrl is an internal address of it',
      type: 'URL',
      expects: issuerUrl,
      example: 'https://idp.example.com',
      parse: parseExactUrl,
    }),
  ),
  scopes: scopes('asked for at sign-in; offline_access brings a refresh token with most providers', [
    'openid',
    'profile',
  ]),
  onlyStartIfOIDCIsAvailable: ignored(
    'accepted and not used: the gateway starts without the provider and says so on /readyz',
  ),
});

const userAuth = section('How people sign in', {
  redirectUrl: parsed({
    doc: 'where a person goes who signed in without having wanted anything',
    default: '/console',
    type: 'path or URL',
    expects: 'a path, or a URL under an authorized URI',
    parse: parseReturnTo,
  }),
  openId,
  httpProxyURL: proxy('the same as auth.httpProxyURL, where flyteadmin has it too'),
  cookieHashKeySecretName: secretName(
    'file of base64 keys, 32 bytes or more, one a line; the first seals, all open',
    secretNames.hash,
  ),
  cookieBlockKeySecretName: secretName(
    'file of base64 keys, 16, 24 or 32 bytes, paired line by line with the hash keys',
    secretNames.block,
  ),
  cookieSetting: section('The session cookie; its path is always /', {
    sameSitePolicy: choice({
      doc: 'DefaultMode means Lax',
      default: 'DefaultMode',
      of: ['DefaultMode', 'LaxMode', 'StrictMode', 'NoneMode'],
    }),
    domain: optional(
      line({
        doc: 'share the session with the hosts under this domain, those of apps for one; without it only the public host has it',
        example: 'example.com',
        type: 'domain',
        expects: 'a domain such as example.com',
        max: 253,
        form: /^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/,
      }),
    ),
  }),
  idpQueryParameter: optional(
    parsed({
      doc: 'a parameter of /login that goes on to the provider, to choose among its own providers',
      example: 'idp',
      type: 'parameter',
      expects: 'the name of a query parameter',
      parse: parseIdpParameter,
    }),
  ),
});

const externalAuthServer = section('Who signs access tokens', {
  baseUrl: optional(
    parsed({
      doc: "the access tokens' issuer; without it userAuth.openId.baseUrl",
      type: 'URL',
      expects: issuerUrl,
      example: 'https://idp.example.com/oauth2/default',
      parse: parseExactUrl,
    }),
  ),
  allowedAudience: listOf(
    line({ doc: 'audiences accepted besides the authorized URIs', type: 'text', expects: 'an audience', max: 512 }),
    { default: [], max: 50 },
  ),
  metadataUrl: optional(
    parsed({
      doc: 'metadata document, when it is not at a well-known place; a path is read below baseUrl',
      type: 'URL or path',
      expects: 'a URL, or a path below baseUrl',
      example: '.well-known/openid-configuration',
      parse: parseMetadataUrl,
    }),
  ),
  httpProxyURL: proxy('the same as auth.httpProxyURL, where flyteadmin has it too'),
  retryAttempts: count({ doc: 'tries for a metadata document', default: 5, min: 1, max: 20, unit: 'tries' }),
  retryDelay: duration({ doc: 'between two of them', default: '1s', min: '0s', max: '1m' }),
});

const flyteClient = section("What Flyte's command line and SDK are told to sign in with", {
  clientId: line({ doc: "the native app's client id", default: 'flytectl', ...clientId }),
  redirectUri: parsed({
    doc: 'where it listens',
    default: 'http://localhost:53593/callback',
    type: 'URL',
    expects: 'a redirect URI such as http://localhost:53593/callback',
    parse: parseNativeRedirect,
  }),
  scopes: scopes('what it asks for', ['all', 'offline']),
  audience: optional(
    line({
      doc: 'the audience it asks for, with providers that want one',
      example: 'https://flyte.example.com',
      expects: 'an audience',
      max: 512,
    }),
  ),
});

const appAuth = section('How programs sign in', {
  authServerType: choice({
    doc: 'tokens are issued by an identity provider; flyteadmin has a server of its own, this gateway has none',
    default: 'External',
    of: ['External'],
    why: 'the gateway issues no tokens: name an identity provider in externalAuthServer',
  }),
  selfAuthServer: ignored("accepted and not used: flyteadmin's own authorization server"),
  externalAuthServer,
  thirdPartyConfig: section('What clients find out', { flyteClient }),
});

/**
 * The rows of flyteadmin's `auth` section, with its keys and defaults, and ours beside them.
 *
 * @param file makes a row for the path of a file
 */
export function authFields(file: (doc: string, example: string) => Setting<string>) {
  const always = 'nobody passes unauthenticated: give the routes access: public instead';
  return {
    grpcAuthorizationHeader: bearerHeader('header of bearer tokens in gRPC calls, besides authorization'),
    httpAuthorizationHeader: bearerHeader('header of bearer tokens in other requests, besides authorization'),
    disableForHttp: mustBe({
      doc: 'flyteadmin can leave HTTP unprotected; the gateway cannot',
      default: false,
      why: always,
    }),
    disableForGrpc: mustBe({
      doc: 'flyteadmin can leave gRPC unprotected; the gateway cannot',
      default: false,
      why: always,
    }),
    authorizedUris: listOf(
      parsed({
        doc: 'further origins that requests come to, in-cluster names for one; also accepted as audiences',
        type: 'origin',
        expects: 'an origin such as http://flyteadmin:80',
        parse: parseOrigin,
      }),
      { default: [], max: 100 },
    ),
    httpProxyURL: proxy('outbound proxy for what the gateway asks the provider'),
    caFile: optional(file("PEM, in addition to the system's, to know the provider by", 'idp-ca.crt')),
    allowHttpIssuer: flag({
      doc: 'an issuer reached by http: on another host than this one; whoever controls the network then controls who is who',
      default: false,
    }),
    trustUnverifiedEmail: flag({
      doc: 'believe an e-mail of which the provider does not say whether it is verified',
      default: false,
    }),
    timeout: duration({ doc: 'to wait for one answer of the provider', default: '10s', min: '100ms', max: '1m' }),
    userAuth,
    appAuth,
    apiKeys,
    introspection,
    additionalIssuers,
  };
}

/** The name of a secret file; empty where there is no secret. */
function parseSecretName(text: string): Parsed<string> {
  return /^(?!\.{1,2}$)[A-Za-z0-9._-]{0,253}$/.test(text) ? { value: text } : { wrong: '' };
}

/** A parameter that a link may set for the provider: none of those that signing in itself depends on (RFC 6749 §4.1.1). */
function parseIdpParameter(text: string): Parsed<string> {
  const ours = [
    'client_id',
    'client_secret',
    'redirect_uri',
    'response_type',
    'response_mode',
    'scope',
    'state',
    'nonce',
  ];
  const also = [
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'claims',
    'redirect_url',
    'rd',
    'prompt',
    'max_age',
    'id_token_hint',
    'registration',
  ];
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(text)) return { wrong: '' };
  return [...ours, ...also].includes(text.toLowerCase())
    ? { wrong: 'a link must not be able to set that parameter' }
    : { value: text };
}
