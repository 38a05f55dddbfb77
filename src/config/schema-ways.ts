import { count, duration, flag, line, listOf, parsed } from './rows.ts';
import { hidden, optional, optionalRows, section } from './setting.ts';
import { parseExactUrl } from './urls.ts';

const scope = (doc: string, byDefault?: string) =>
  line({
    doc,
    type: 'scope',
    expects: 'one scope without spaces',
    max: 128,
    form: /^[\x21\x23-\x5b\x5d-\x7e]+$/,
    ...(byDefault !== undefined && { default: byDefault }),
  });

const failures = (doc: string, byDefault: number) =>
  count({ doc, default: byDefault, min: 1, max: 100_000, unit: 'failures a minute' });

/** Section `auth.apiKeys`: Flyte's API keys as bearer tokens. */
export const apiKeys = section("Flyte's API keys as bearer tokens: base64 of endpoint:client_id:client_secret:org", {
  enabled: flag({
    doc: 'exchange them at the provider of access tokens (client credentials); anybody can then try secrets there through the gateway, within the limits below',
    default: false,
  }),
  scopes: listOf(scope('asked for in the exchange'), { default: ['all'], max: 50 }),
  failuresPerClient: failures('failed exchanges of one client id; a key that worked before is never held back', 10),
  failuresPerAddress: failures('failed exchanges from one caller’s address (IPv6: its /64)', 20),
  failuresInAll: failures('failed exchanges in all', 100),
});

/** Section `auth.introspection`: access tokens that are no JWTs. */
export const introspection = section('Opaque access tokens, asked about at the provider of access tokens (RFC 7662)', {
  clientId: optional(
    line({
      doc: 'the client that the gateway asks as; without it opaque tokens are refused',
      example: 'flytegate',
      type: 'client id',
      expects: 'a client id as the provider shows it',
      max: 256,
      form: /^[\x21-\x7e]+$/,
    }),
  ),
  clientSecretFile: optional(
    hidden(
      line({
        doc: 'path of its secret',
        example: '/etc/secrets/introspection_client_secret',
        type: 'path',
        expects: 'the path of a file, not the secret itself',
        max: 1024,
      }),
    ),
  ),
  maxAge: duration({
    doc: 'an answer is used for so long at most: a token that is revoked goes on working until then',
    default: '60s',
    min: '0s',
    max: '15m',
  }),
  failuresPerAddress: failures('unknown tokens from one caller’s address (IPv6: its /64) that are asked about', 60),
  failuresInAll: failures('unknown tokens in all that are asked about', 600),
});

/** Rows `auth.additionalIssuers`: providers of access tokens besides the first. */
export const additionalIssuers = optionalRows(
  'Further issuers of JWT access tokens; each is believed about every subject, so that two must not give different people the same one',
  20,
  section('One issuer', {
    issuer: parsed({
      doc: 'exactly as its tokens name it; discovery is asked there unless jwksUrl is given',
      type: 'URL',
      expects: 'the URL of an identity provider, such as https://idp.example.com/oauth2/default',
      example: 'https://ci.example.com',
      parse: parseExactUrl,
    }),
    audiences: listOf(
      line({
        doc: 'its tokens must be for one of these; the authorized URIs do not count by themselves',
        type: 'text',
        expects: 'an audience',
        max: 512,
      }),
      { example: ['https://flyte.example.com'], max: 50 },
    ),
    requiredScope: scope('its tokens must have it', 'all'),
    jwksUrl: optional(
      parsed({
        doc: 'where its keys are, when it has no metadata document',
        type: 'URL',
        expects: 'a URL',
        example: 'https://ci.example.com/keys',
        parse: parseExactUrl,
      }),
    ),
    metadataUrl: optional(
      parsed({
        doc: 'its metadata document, when that is at no well-known place',
        type: 'URL',
        expects: 'a URL',
        example: 'https://ci.example.com/metadata.json',
        parse: parseExactUrl,
      }),
    ),
  }),
);
