import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDemoProvider } from '../../src/demo/provider.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { startFakeRig } from '../flows/rig.ts';
import { type Examined, endLater, look, type Patient, serve } from './stage.ts';

const secret = 'the secret of propeller';
const app = { clientId: 'propeller', secret };

async function tried(behaviour: Partial<FakeProvider['behaviour']>, patient: Partial<Patient> = {}): Promise<Examined> {
  const provider = await startProvider({ audience: 'https://flyte.example.com' });
  endLater(provider.stop);
  Object.assign(provider.behaviour, { clients: { propeller: secret }, ...behaviour });
  const found = await look({ issuer: provider.issuer, app, ...patient });
  assert.ok(!found.text.includes(secret) && !/eyJ/.test(found.text), found.text);
  return found;
}

describe('doctor, trying a service app,', () => {
  it('gets a token and finds it accepted here', async () => {
    const found = await tried({});
    assert.match(found.of('service-app'), /^ok .*propeller gets a token/);
    assert.match(found.of('service-token'), /^ok .*accepted here as propeller of \S+, with all\n$/);
  });

  it('names the secret and its file when the provider does not know it', async () => {
    const found = await tried({ clients: { propeller: 'another' } });
    assert.match(
      found.of('service-app'),
      /^problem .*refuses propeller: invalid_client → .*the secret in .*app-secret/,
    );
    assert.match(found.of('service-token'), /^could not tell /);
  });

  for (const [error, remedy] of [
    ['unauthorized_client', /client_credentials/],
    ['invalid_scope', /make the scope all/],
    ['access_denied', /access policy/],
    ['invalid_target', /serviceApp\.audience/],
    ['something_else', /logs/],
  ] as const)
    it(`says what to do about ${error}`, async () => {
      const body = JSON.stringify({ error, error_description: secret });
      const found = await tried({ answers: { token: { status: 400, body } } });
      assert.match(found.of('service-app'), new RegExp(`^problem .*${error} → .*${remedy.source}`));
    });

  for (const [what, claims, says] of [
    ['for another audience', { aud: 'api://default' }, /^problem .*is for "api:\/\/default".*allowedAudience/],
    [
      'of another issuer',
      { iss: 'https://idp.example.com' },
      /^problem .*names the issuer "https:\/\/idp\.example\.com"/,
    ],
    ['without the scope', { scope: 'read' }, /^problem .*has the scopes read, and lacks all → make the scope all/],
    ['that is dead', { exp: 1_000_000_000 }, /^problem .*NTP/],
    ['that names nobody', { sub: undefined, client_id: undefined }, /^problem .*names nobody/],
    ['that is bound to a key', { cnf: { jkt: 'x' } }, /^problem .*bound to a key.*DPoP/],
    ['that is an ID token', { nonce: 'x' }, /^problem .*refused for its nonce/],
  ] as const)
    it(`says what is wrong with a token ${what}`, async () => {
      assert.match((await tried({ accessToken: claims })).of('service-token'), says);
    });

  it('says that opaque tokens are refused', async () => {
    const body = JSON.stringify({ access_token: 'opaque-token-1', token_type: 'Bearer', expires_in: 60 });
    const found = await tried({ answers: { token: { status: 200, body } } });
    assert.match(found.of('service-token'), /^problem .*is no JWT.*auth\.introspection/);
    assert.ok(!found.text.includes('opaque-token-1'));
  });

  it('tells a token that another authorization server of the same provider signed', async () => {
    const other = await startProvider({ audience: 'https://flyte.example.com' });
    endLater(other.stop);
    const settings = {
      'upstreams.control-plane.upstreamAuthorization': 'service-app',
      serviceApp: { clientId: 'propeller', tokenUrl: `${other.issuer}/token` },
    };
    const named = (issuer: string) => {
      other.behaviour.accessToken = { iss: issuer };
    };
    const provider = await startProvider({ audience: 'https://flyte.example.com' });
    endLater(provider.stop);
    named(provider.issuer);
    const found = await look({ issuer: provider.issuer, settings, files: { 'secrets/client_secret': secret } });
    assert.match(found.of('service-app'), /^ok /);
    assert.match(found.of('service-token'), /^problem .*not signed by a key that/);
  });

  it('could not tell without one, and says how to have one tried', async () => {
    const provider = await startProvider();
    endLater(provider.stop);
    const found = await look({ issuer: provider.issuer });
    assert.match(found.of('service-app'), /^could not tell .*--client-id and --secret-file/);
  });

  for (const [what, content, says] of [
    ['an empty file', '', /^problem .*is empty/m],
    ['a line break at the end', `${secret}\n`, /^warning .*ends in a line break/m],
    ['white space around it', ` ${secret}`, /^warning .*white space/m],
  ] as const)
    it(`says of its secret that there is ${what}`, async () => {
      const found = await tried({ clients: undefined }, { app: { clientId: 'propeller', secret: content } });
      assert.match(found.of('secret-files'), says);
    });
});

describe('doctor, at a certified provider,', () => {
  it('finds redirect URIs, sign-out URI, client ids and secrets that are not registered', async () => {
    const provider = createDemoProvider({ port: 0, publicUrls: ['https://flyte.example.com'] });
    const issuer = await provider.start();
    endLater(provider.stop);
    const clients = {
      'auth.userAuth.openId.clientId': provider.clients.web.id,
      'auth.appAuth.thirdPartyConfig.flyteClient.clientId': provider.clients.native.id,
      'auth.appAuth.thirdPartyConfig.flyteClient.scopes': ['all'],
    };
    const { id: clientId, secret: right } = provider.clients.service;
    const well = await look({ issuer, settings: clients, app: { clientId, secret: right } });
    for (const name of ['redirect-uri', 'sdk-redirect-uri', 'sign-out-uri', 'service-app', 'service-token'] as const)
      assert.match(well.of(name), /^ok .*\n$/, name);

    const moved = await look({
      issuer,
      settings: {
        ...clients,
        'server.publicUrl': 'https://other.example.com',
        'auth.appAuth.thirdPartyConfig.flyteClient.redirectUri': 'http://localhost:1234/elsewhere',
      },
      app: { clientId, secret: 'wrong' },
    });
    assert.match(moved.of('redirect-uri'), /^problem .*other\.example\.com\/callback .*\(invalid_redirect_uri\)/);
    assert.match(moved.of('sdk-redirect-uri'), /^problem .*localhost:1234\/elsewhere/);
    assert.match(moved.of('sign-out-uri'), /^problem .*other\.example\.com\/logout/);
    assert.match(moved.of('service-app'), /^problem .*invalid_client/);

    const stranger = await look({ issuer, settings: { ...clients, 'auth.userAuth.openId.clientId': 'nobody' } });
    assert.match(stranger.of('redirect-uri'), /^problem .*no app with the client id nobody/);
  });
});

describe('doctor, calling with the token of a service app,', () => {
  it('finds it let in by a gateway that works, whatever stands in front', async () => {
    const rig = await startFakeRig();
    const clientId = 'propeller';
    const call = async (publicUrl: string) => {
      const at = { 'server.publicUrl': publicUrl, 'auth.appAuth.externalAuthServer.allowedAudience': [rig.url] };
      return (await look({ issuer: rig.issuer, settings: at, app: { clientId, secret } })).of('service-call');
    };
    assert.match(await call(rig.url), /^ok .*by flyte-authorization/);
    const dropping = await serve((request, response) => {
      const seen = 'flyte-authorization' in request.headers;
      response.writeHead(seen ? 401 : 500).end();
    });
    assert.match(
      await call(`http://${dropping}`),
      /^problem .*answers 401 to it → what stands in front drops flyte-authorization/,
    );
    assert.match(await call('http://127.0.0.1:1'), /^could not tell .*ECONNREFUSED/);
  });

  it('sends no token where it could be read on the way', async () => {
    const found = await tried(
      {},
      {
        settings: {
          'server.publicUrl': 'http://flyte.example.com',
          'server.security.insecureCookieHeader': true,
          'auth.appAuth.externalAuthServer.allowedAudience': ['https://flyte.example.com'],
        },
      },
    );
    assert.match(found.of('service-token'), /^ok /);
    assert.match(found.of('service-call'), /^could not tell .*has no TLS/);
  });

  it('knows which header services send it in', async () => {
    const found = await tried({}, { settings: { 'auth.grpcAuthorizationHeader': 'x-flyte-token' } });
    assert.match(found.of('credential-header'), /^warning .*x-flyte-token.*authorizationMetadataKey/);
  });
});
