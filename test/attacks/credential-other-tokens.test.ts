import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

// Signed by the right issuer, for an audience of ours, and no bearer access tokens all the same. They were accepted as such
// when they came as JWTs, and refused when they were opaque.

describe('a JWT of the right issuer', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig({
      settings: {
        // As with providers that write the client's id into the audience of every token.
        'auth.appAuth.externalAuthServer.allowedAudience': ['flyte-cli'],
      },
    });
  });
  const send = async (claims: Record<string, unknown>) => {
    const token = await rig.provider.accessToken({ aud: 'flyte-cli', ...claims });
    return (await rig.ask('/me', { fields: { authorization: `Bearer ${token}` } })).status;
  };

  for (const [what, claims] of [
    ['that is bound to a key, of which nobody shows a proof (RFC 9449 §6.1)', { cnf: { jkt: 'thumbprint' } }],
    ['that is bound to a client certificate (RFC 8705 §3.1)', { cnf: { 'x5t#S256': 'thumbprint' } }],
    ['that is Cognito’s ID token', { token_use: 'id', client_id: undefined, scope: undefined }],
    ['that is Keycloak’s ID token', { typ: 'ID' }],
    ['that is Keycloak’s refresh token', { typ: 'Refresh' }],
    ['that is Keycloak’s offline token', { typ: 'Offline' }],
    ['that is Keycloak’s logout token', { typ: 'Logout' }],
    ['of which nobody knows for what it is to be used', { token_use: ['access'] }],
  ] as const)
    it(`is refused ${what}`, async () => assert.equal(await send(claims), 401));

  for (const [what, claims] of [
    ['Cognito’s', { token_use: 'access' }],
    ['Keycloak’s', { typ: 'Bearer' }],
    ['whose typ says nothing about that', { typ: 'at+jwt' }],
  ] as const)
    it(`is accepted when it is an access token: ${what}`, async () => assert.equal(await send(claims), 200));
});
