import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from './rig.ts';

const settings = {
  'auth.introspection.clientId': 'gateway',
  'auth.introspection.clientSecretFile': 'secrets/oidc_client_secret',
};
const minuteMs = 60_000;
const token = 'ory_at_2nGm-opaque.K7';

/** A rig whose provider knows one token as a person's, with changes. */
async function startWith(changes: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Promise<FakeRig> {
  const rig = await startFakeRig({ settings: { ...settings, ...more } });
  know(rig, changes);
  return rig;
}

function know(rig: FakeRig, changes: Record<string, unknown> = {}): void {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const said = {
    sub: 'ada',
    client_id: 'native',
    scope: 'openid all',
    aud: rig.url,
    iss: rig.issuer,
    exp,
    token_type: 'Bearer',
  };
  rig.provider.behaviour.opaque = { [token]: { ...said, ...changes } };
}

const send = async (rig: FakeRig, bearer = token, path = '/api/v1/whoami') =>
  rig.ask(path, { fields: { authorization: `Bearer ${bearer}` } });

describe('an opaque token', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startWith();
  });

  it('that its issuer calls active gets its person through', async () => {
    const answer = await send(rig);
    assert.equal(answer.status, 200);
    assert.equal(Object(answer.json()['identity'])['x-auth-request-user'], 'ada');
  });

  it('is not passed on: no service can verify it', async () => {
    assert.equal(Object((await send(rig)).json()['headers'])['authorization'], undefined);
  });

  it('was asked about once for both, and by the other header too', async () => {
    const fields = { 'flyte-authorization': `Bearer ${token}` };
    assert.equal((await rig.ask('/me', { fields })).status, 200);
    assert.equal(rig.provider.calls.introspect, 1);
  });

  it('stands in no log line', () => assert.ok(!rig.log.text().includes(token)));
});

describe('the answer about an opaque token', () => {
  it('is used for auth.introspection.maxAge at most', async () => {
    const rig = await startWith({}, { 'auth.introspection.maxAge': '30s', 'decisionCache.maxAge': '10m' });
    assert.equal((await send(rig)).status, 200);
    rig.move(29_000);
    assert.equal((await send(rig)).status, 200);
    assert.equal(rig.provider.calls.introspect, 1);
    rig.provider.behaviour.opaque = {};
    rig.move(2000);
    assert.equal((await send(rig)).status, 401);
  });

  it('is never used past exp', async () => {
    const exp = Math.floor(Date.now() / 1000) + 120;
    const rig = await startWith({ exp }, { 'auth.introspection.maxAge': '15m', 'decisionCache.maxAge': '10m' });
    assert.equal((await send(rig)).status, 200);
    rig.move(121_000 + 60_000);
    assert.equal((await send(rig)).status, 401);
  });

  it('is not used at all with maxAge 0s', async () => {
    const rig = await startWith({}, { 'auth.introspection.maxAge': '0s' });
    for (let i = 0; i < 3; i++) assert.equal((await send(rig)).status, 200);
    assert.equal(rig.provider.calls.introspect, 3);
  });

  it('is asked for once however many come at the same time', async () => {
    const rig = await startWith();
    const release = rig.provider.hold('introspect');
    const asking = Array.from({ length: 50 }, (_, at) => {
      const name = at % 2 === 0 ? 'authorization' : 'flyte-authorization';
      return rig.ask('/me', { fields: { [name]: `Bearer ${token}` } });
    });
    await rig.provider.whenAsked('introspect', 1);
    release();
    for (const answer of await Promise.all(asking)) assert.equal(answer.status, 200);
    assert.equal(rig.provider.calls.introspect, 1);
  });

  for (const [what, changes, status] of [
    ['another issuer', { iss: 'https://else.test' }, 401],
    ['an issuer that is no text', { iss: 7 }, 401],
    ['no issuer', { iss: undefined }, 200],
    ['another audience', { aud: 'https://else.test' }, 401],
    ['no audience', { aud: undefined }, 401],
    ['audiences with ours', { aud: ['https://else.test', 'http://127.0.0.1'] }, 401],
    ['no expiry', { exp: undefined }, 401],
    ['an expiry long ago', { exp: 1000 }, 401],
    ['a beginning in an hour', { nbf: Math.floor(Date.now() / 1000) + 3600 }, 401],
    ['too few scopes', { scope: 'openid' }, 403],
    ['no subject', { sub: undefined }, 401],
    ['a subject with a line break', { sub: 'a\nb' }, 401],
    ['a refresh token', { token_use: 'refresh_token' }, 401],
    ['a token of another type', { token_type: 'DPoP' }, 401],
    ['a token bound to a key', { cnf: { jkt: 'x' } }, 401],
    ['what only ID tokens carry', { nonce: 'n' }, 401],
  ] as const)
    it(`that speaks of ${what} is judged as a JWT would be: ${status}`, async () => {
      const rig = await startWith(changes);
      assert.equal((await send(rig)).status, status);
      assert.equal((await send(rig)).status, status, 'and so is a remembered one');
    });

  it('is judged anew at every use: the audience and the scope too', async () => {
    const rig = await startWith({}, { 'decisionCache.maxAge': '0s', 'auth.introspection.maxAge': '15m' });
    for (let i = 0; i < 3; i++) assert.equal((await send(rig)).status, 200);
    assert.equal(rig.provider.calls.introspect, 1);
    rig.move(14 * minuteMs);
    assert.equal((await send(rig)).status, 200);
  });
});

describe('what is no opaque token goes to no introspection:', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startWith();
  });
  for (const [what, bearer] of [
    ['a JWT with a changed signature', async () => `${(await rig.provider.accessToken()).slice(0, -6)}AAAAAA`],
    ['a JWT for somebody else', () => rig.provider.accessToken({ aud: 'https://else.test' })],
    ['half a JWT', async () => (await rig.provider.accessToken()).split('.').slice(0, 2).join('.')],
    ['what has the dots of a JWT', async () => 'a.b.c'],
    ['what has the dots of a JWE', async () => 'a.b.c.d.e'],
    ['an API key', async () => Buffer.from('localhost:ci:secret:acme').toString('base64')],
    ['nearly an API key', async () => Buffer.from('localhost:ci:secret').toString('base64')],
    ['5 KB', async () => 'x'.repeat(5000)],
  ] as const)
    it(what, async () => {
      assert.equal((await send(rig, await bearer())).status, 401);
      assert.equal(rig.provider.calls.introspect, 0);
    });

  it('a good JWT, which gets through by its signature', async () => {
    assert.equal((await send(rig, await rig.provider.accessToken())).status, 200);
    assert.equal(rig.provider.calls.introspect, 0);
  });
});
