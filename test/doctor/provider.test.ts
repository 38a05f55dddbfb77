import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { before, describe, it } from 'node:test';
import type { CheckName } from '../../src/doctor/finding.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { endLater, look, type Patient, serve } from './stage.ts';

let audience: string;
const start = async (behaviour: Partial<FakeProvider['behaviour']> = {}): Promise<FakeProvider> => {
  const provider = await startProvider({ audience });
  Object.assign(provider.behaviour, behaviour);
  endLater(provider.stop);
  return provider;
};
before(() => {
  audience = 'https://flyte.example.com';
});

describe('doctor, of an issuer that is as it should be,', () => {
  it('finds metadata, keys, clock, redirect URIs and scopes in order', async () => {
    const { issuer } = await start();
    const settings = {
      'auth.userAuth.openId.scopes': ['openid', 'offline_access'],
      'auth.appAuth.thirdPartyConfig.flyteClient.scopes': ['all'],
    };
    const found = await look({ issuer, settings });
    const names = ['metadata', 'keys', 'clock', 'redirect-uri', 'sdk-redirect-uri', 'sign-out-uri', 'scopes'] as const;
    for (const name of names) assert.match(found.of(name), /^ok {12} .*\n$/, name);
  });

  it('asks as a browser would that nobody has signed in with, and redeems nothing', async () => {
    const provider = await start();
    await look({ issuer: provider.issuer });
    assert.equal(provider.calls.authorize, 2);
    assert.equal(provider.tokenRequests.length, 0);
  });
});

interface Wrong extends Partial<Patient> {
  readonly behaviour?: Partial<FakeProvider['behaviour']>;
  readonly at?: (issuer: string) => string;
  readonly check: CheckName;
  readonly says: RegExp;
}

const answering = (asked: 'authorize' | 'jwks' | 'logout', status: number, body = '', fields = {}) => ({
  answers: { [asked]: { status, body, fields } },
});
const back = (error: string) => ({ authorizeResponse: { code: undefined, error } });
const noon = Date.parse('2026-06-15T12:00:00Z');
const keys = JSON.stringify({ keys: [{ kty: 'RSA', kid: 'a', n: 'AQAB', e: 'AQAB' }] });

const wrongs: Readonly<Record<string, Wrong>> = {
  'an issuer written with a slash more': {
    at: (issuer) => `${issuer}/`,
    check: 'metadata',
    says: /^problem .* calls itself http:\/\/127[^ ]*, the settings .*the slash at the end counts → write auth\.userAuth\.openId\.baseUrl: http:\/\/127\S*[^/]\n$/,
  },
  'an issuer that calls itself something else': {
    behaviour: { metadata: { issuer: 'https://idp.example.com/realms/other' } },
    check: 'metadata',
    says: /^problem .*realms\/other.*issuerUrl/,
  },
  'an issuer that nobody listens at': {
    at: () => 'http://127.0.0.1:1',
    check: 'metadata',
    says: /^problem .*ECONNREFUSED.*firewall/,
  },
  'an issuer without an authorization endpoint': {
    behaviour: { metadata: { authorization_endpoint: undefined } },
    check: 'metadata',
    says: /^problem .*authorization_endpoint/,
  },
  'opaque tokens that nobody can be asked about': {
    behaviour: { metadata: { introspection_endpoint: undefined } },
    settings: {
      'auth.introspection': { clientId: 'gate', clientSecretFile: 'secrets/oidc_client_secret' },
    },
    check: 'metadata',
    says: /^problem .*introspection_endpoint/m,
  },
  'no PKCE': {
    behaviour: { metadata: { code_challenge_methods_supported: ['plain'] } },
    check: 'metadata',
    says: /^problem .*S256/,
  },
  'keys that cannot be fetched': { behaviour: answering('jwks', 503), check: 'keys', says: /^problem .*answered 503/ },
  'a page in place of keys': {
    behaviour: answering('jwks', 200, '<p>hi'),
    check: 'keys',
    says: /^problem .*no JWK set/,
  },
  'shared keys only': {
    behaviour: answering('jwks', 200, '{"keys":[{"kty":"oct","k":"AA"}]}'),
    check: 'keys',
    says: /^problem .*none of 1/,
  },
  'a clock five minutes ahead of the issuer’s': {
    behaviour: answering('jwks', 200, keys, { date: new Date(noon).toUTCString() }),
    check: 'clock',
    now: () => noon + 300_000,
    says: /^problem .*299 s ahead of the issuer's.*NTP/,
  },
  'a clock half a minute behind': {
    behaviour: answering('jwks', 200, keys, { date: new Date(noon).toUTCString() }),
    check: 'clock',
    now: () => noon - 33_000,
    says: /^warning .*33 s behind/,
  },
  'a redirect URI that is not registered': {
    behaviour: answering('authorize', 400, '{"error":"invalid_redirect_uri"}'),
    check: 'redirect-uri',
    says: /^problem .*flyte\.example\.com\/callback for the client flyte-web \(invalid_redirect_uri\) → register https:\/\/flyte\.example\.com\/callback,/,
  },
  'the SDK’s redirect URI not registered': {
    behaviour: answering('authorize', 400, 'Invalid parameter: redirect_uri'),
    check: 'sdk-redirect-uri',
    says: /^problem .*http:\/\/localhost:53593\/callback for the client flytectl .*register http:\/\/localhost:53593\/callback/,
  },
  'an unknown client': {
    behaviour: answering('authorize', 400, 'error: invalid_client'),
    check: 'redirect-uri',
    says: /^problem .*no app with the client id flyte-web at this issuer/,
  },
  'a redirect to an error page': {
    behaviour: answering('authorize', 302, '', { location: 'https://idp.example.com/error?error=unauthorized_client' }),
    check: 'redirect-uri',
    says: /^problem .*unauthorized_client/,
  },
  'scopes that are not there': {
    behaviour: back('invalid_scope'),
    check: 'redirect-uri',
    says: /^problem .*make these scopes/,
  },
  'a grant type that is off': {
    behaviour: back('unauthorized_client'),
    check: 'redirect-uri',
    says: /^problem .*authorization_code/,
  },
  'an access policy without the app': {
    behaviour: back('access_denied'),
    check: 'redirect-uri',
    says: /^problem .*access policy/,
  },
  'an error that is HTML': { behaviour: back('<script>'), check: 'redirect-uri', says: /^problem .*no known form → / },
  'a provider in trouble': {
    behaviour: answering('authorize', 503),
    check: 'redirect-uri',
    says: /^could not tell .*503/,
  },
  'a page of which nobody knows what it says': {
    behaviour: answering('authorize', 200, '<p>hello'),
    check: 'redirect-uri',
    says: /^could not tell /,
  },
  'a provider that asks the person at once': {
    behaviour: answering('authorize', 302, '', { location: '/login/start' }),
    check: 'redirect-uri',
    says: /^ok /,
  },
  'a person who would be asked': { behaviour: back('login_required'), check: 'redirect-uri', says: /^ok / },
  'a sign-out URI that is not registered': {
    behaviour: answering('logout', 400, 'post_logout_redirect_uri not registered'),
    check: 'sign-out-uri',
    says: /^problem .*register https:\/\/flyte\.example\.com\/logout/,
  },
  'a provider that wants an ID token to sign out': {
    behaviour: answering('logout', 400, 'id_token_hint is missing'),
    check: 'sign-out-uri',
    says: /^could not tell /,
  },
  'a provider without a sign-out': {
    behaviour: { metadata: { end_session_endpoint: undefined } },
    check: 'sign-out-uri',
    says: /^warning .*signed in again/,
  },
  'no scope all': {
    behaviour: { metadata: { scopes_supported: ['openid'] } },
    check: 'scopes',
    says: /^warning .*does not list all,/m,
  },
  'scopes that are not told': {
    behaviour: { metadata: { scopes_supported: undefined } },
    check: 'scopes',
    says: /^could not tell /m,
  },
  'an SDK that is told not to ask for all': {
    settings: { 'auth.appAuth.thirdPartyConfig.flyteClient.scopes': ['openid'] },
    check: 'scopes',
    says: /^problem .*without all is refused/m,
  },
  'an audience that the SDK asks for and nobody accepts': {
    settings: { 'auth.appAuth.thirdPartyConfig.flyteClient.audience': 'api://flyte' },
    check: 'audience',
    says: /^problem .*api:\/\/flyte.*allowedAudience/,
  },
};

describe('doctor finds', () => {
  for (const [what, { behaviour, at, check, says, ...patient }] of Object.entries(wrongs)) {
    it(what, async () => {
      const { issuer } = await start(behaviour);
      const found = await look({ issuer: at ? at(issuer) : issuer, ...patient });
      assert.match(found.of(check), says);
    });
  }

  it('a silent issuer, in bounded time, and says what could not be told for that', async () => {
    const at = await serve(createServer(() => undefined));
    const found = await look({ issuer: `http://${at}`, settings: { 'auth.timeout': '100ms' } });
    assert.match(found.of('metadata'), /^problem .*no answer in 100 ms/);
    for (const name of ['keys', 'clock', 'redirect-uri', 'sdk-redirect-uri', 'sign-out-uri', 'scopes'] as const)
      assert.match(found.of(name), /^could not tell .*see metadata/, name);
  });

  it('keys of a further issuer that nobody answers for', async () => {
    const { issuer } = await start();
    const further = { issuer: 'https://ci.example.com', audiences: ['x'], jwksUrl: 'http://127.0.0.1:1/keys' };
    const found = await look({ issuer, settings: { 'auth.additionalIssuers': [further] } });
    assert.match(found.of('keys'), /^problem .*ci\.example\.com.*ECONNREFUSED/m);
  });

  it('an issuer of access tokens that is another than that of people', async () => {
    const [people, tokens] = [await start(), await start()];
    const setting = 'auth.appAuth.externalAuthServer.baseUrl';
    const found = await look({ issuer: people.issuer, settings: { [setting]: `${tokens.issuer}/x` } });
    assert.match(found.of('metadata'), /^ok .*\nproblem .*\n$/);
    const well = await look({ issuer: people.issuer, settings: { [setting]: tokens.issuer } });
    assert.ok(well.of('keys').includes(tokens.issuer));
    assert.equal(tokens.calls.authorize, 1);
  });

  it('nothing to believe in what a hostile provider says: it stays in its line, short and without control characters', async () => {
    const evil = `https://evil.example/\n\u001b[2Jok              settings: \u202e${'x'.repeat(5000)}`;
    const { issuer } = await start({
      metadata: { issuer: evil },
      answers: { authorize: { status: 400, body: evil } },
    });
    const named = await look({ issuer });
    const known = await look({ issuer: (await start(back(evil))).issuer });
    for (const { text, findings } of [named, known]) {
      const lines = text.trimEnd().split('\n');
      assert.equal(lines.length, findings.length);
      for (const line of lines) {
        assert.match(line, /^(ok|warning|problem|could not tell) +[a-z-]+: /);
        assert.doesNotMatch(line, /\p{C}/u);
        assert.ok(line.length < 900);
      }
    }
  });
});
