import { duration, line, listOf, parsed } from './rows.ts';
import { hidden, optional, section } from './setting.ts';
import { parseExactUrl } from './urls.ts';

/** The section of the gateway's own service app. */
export const serviceApp = section(
  'The app that speaks for the gateway itself, to upstreams with upstreamAuthorization: service-app',
  {
    clientId: optional(
      line({
        doc: 'its client id; it gets tokens by client credentials',
        example: 'flyte-gateway',
        type: 'client id',
        expects: 'a client id as the provider shows it',
        max: 256,
        form: /^[\x21-\x7e]+$/,
      }),
    ),
    clientSecretFile: optional(
      hidden(
        line({
          doc: 'path of its secret; without it client_secret in secretsDir',
          example: '/etc/secrets/client_secret',
          type: 'path',
          expects: 'the path of a file, not the secret itself',
          max: 1024,
        }),
      ),
    ),
    tokenUrl: optional(
      parsed({
        doc: 'where tokens are asked for; without it where the metadata of the access tokens’ issuer says',
        type: 'URL',
        expects: 'the URL of a token endpoint',
        example: 'https://idp.example.com/oauth2/default/v1/token',
        parse: parseExactUrl,
      }),
    ),
    scopes: listOf(
      line({
        doc: 'what is asked for',
        type: 'scope',
        expects: 'one scope without spaces',
        max: 128,
        form: /^[\x21\x23-\x5b\x5d-\x7e]+$/,
      }),
      { default: ['all'], max: 50 },
    ),
    audience: optional(
      line({
        doc: 'the audience that is asked for, with providers that want one',
        example: 'https://flyte.example.com',
        expects: 'an audience',
        max: 512,
      }),
    ),
    tokenRefreshWindow: duration({
      doc: 'a token is fetched anew so long before it dies, or in the second half of its life if that is shorter',
      default: '5m',
      min: '0s',
      max: '1h',
    }),
  },
);
