import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { type DemoRig, type FakeRig, startDemoRig, startFakeRig } from '../flows/rig.ts';
import { clientOf, generations, protocols } from './callers.ts';

let rig: FakeRig;
let cookie: string;
before(async () => {
  rig = await startFakeRig({
    settings: {
      'auth.appAuth.thirdPartyConfig.flyteClient.audience': 'https://flyte.example.com',
      'identityHeaders.claims': ['department'],
    },
    behaviour: {
      metadata: {
        device_authorization_endpoint: 'https://idp.example.com/device',
        code_challenge_methods_supported: ['S256'],
        scopes_supported: ['openid', 'all'],
        grant_types_supported: ['authorization_code', 'client_credentials'],
      },
    },
  });
  ({ cookie } = await rig.signIn());
});

const isUnauthenticated = (error: unknown) => ConnectError.from(error).code === Code.Unauthenticated;

for (const { name, metadata, identity } of generations) {
  for (const protocol of Object.keys(protocols)) {
    describe(`${name} by ${protocol}`, () => {
      const fields = (more: Readonly<Record<string, string>> = {}) => ({ protocol, baseUrl: rig.url, fields: more });

      it('tells a stranger where tokens come from', async () => {
        const answer = await clientOf(metadata, fields()).getOAuth2Metadata({});
        assert.equal(answer.issuer, rig.issuer);
        assert.equal(answer.tokenEndpoint, `${rig.issuer}/token`);
        assert.equal(answer.authorizationEndpoint, `${rig.issuer}/authorize`);
        assert.equal(answer.jwksUri, `${rig.issuer}/jwks`);
        assert.equal(answer.deviceAuthorizationEndpoint, 'https://idp.example.com/device');
        assert.deepEqual(answer.codeChallengeMethodsSupported, ['S256']);
        assert.deepEqual(answer.scopesSupported, ['openid', 'all']);
        assert.deepEqual(answer.grantTypesSupported, ['authorization_code', 'client_credentials']);
      });

      it('tells a stranger what to sign in with', async () => {
        const answer = await clientOf(metadata, fields()).getPublicClientConfig({});
        assert.equal(answer.clientId, 'flyte-cli');
        assert.equal(answer.redirectUri, 'http://localhost:53593/callback');
        assert.deepEqual(answer.scopes, ['all']);
        assert.equal(answer.authorizationMetadataKey, 'flyte-authorization');
        assert.equal(answer.serviceHttpEndpoint, rig.url);
        assert.equal(answer.audience, 'https://flyte.example.com');
      });

      it('tells a stranger with a bad token the same', async () => {
        const client = clientOf(metadata, fields({ 'flyte-authorization': 'Bearer worthless' }));
        assert.equal((await client.getOAuth2Metadata({})).issuer, rig.issuer);
      });

      it('tells nobody who they are before they prove it', async () => {
        await assert.rejects(clientOf(identity, fields()).userInfo({}), isUnauthenticated);
        const bad = clientOf(identity, fields({ 'flyte-authorization': 'Bearer worthless' }));
        await assert.rejects(bad.userInfo({}), isUnauthenticated);
      });

      it('tells people who they are: by a session, and by a token', async () => {
        const token = await rig.provider.accessToken({ department: 'engines' });
        for (const proof of [{ cookie }, { authorization: `Bearer ${token}` }]) {
          const answer = await clientOf(identity, fields({ ...proof, origin: rig.url })).userInfo({});
          assert.equal(answer.subject, 'ada');
          assert.equal(answer.name, 'Ada Lovelace');
          assert.equal(answer.preferredUsername, 'ada');
          assert.equal(answer.email, 'ada@example.com');
          if ('authorization' in proof) assert.deepEqual(answer.additionalClaims, { department: 'engines' });
        }
      });

      it('tells a service app which one it is', async () => {
        const app = { sub: 'ci', client_id: 'ci', name: undefined, email: undefined, preferred_username: undefined };
        const token = await rig.provider.accessToken(app);
        const before = rig.provider.calls.userinfo;
        const answer = await clientOf(identity, fields({ authorization: `Bearer ${token}` })).userInfo({});
        assert.deepEqual([answer.subject, answer.name], ['ci', '']);
        assert.equal(rig.provider.calls.userinfo, before, 'nobody is behind an app');
      });

      it('refuses a session that came from another site’s page', async () => {
        const client = clientOf(identity, fields({ cookie, origin: 'https://evil.test' }));
        await assert.rejects(client.userInfo({}), (error) => ConnectError.from(error).code === Code.PermissionDenied);
      });
    });
  }
}

describe('with the certified provider', () => {
  let demo: DemoRig;
  before(async () => {
    demo = await startDemoRig();
  });

  it('tells its endpoints, and a service app by its token', async () => {
    const [, flyte2] = generations;
    const at = { protocol: 'gRPC', baseUrl: demo.url };
    const answer = await clientOf(flyte2.metadata, at).getOAuth2Metadata({});
    assert.equal(answer.issuer, demo.issuer);
    assert.deepEqual(answer.codeChallengeMethodsSupported, ['S256']);
    const fields = { 'flyte-authorization': `Bearer ${await demo.appToken()}` };
    const told = await clientOf(flyte2.identity, { ...at, fields }).userInfo({});
    assert.notEqual(told.subject, '');
  });
});
