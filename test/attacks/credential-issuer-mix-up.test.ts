import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { segment } from '../authenticate/fixtures.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

describe('with two issuers whose keys have the same kid', () => {
  let rig: FakeRig;
  let other: FakeProvider;
  /** Signed by the key of one of the two, whatever it says. */
  let sign: (by: 'first' | 'other', claims: object, header?: object) => Promise<string>;
  before(async () => {
    other = await startProvider({ audience: 'flyte-ci' });
    endLater(other.stop);
    rig = await startFakeRig({
      settings: { 'auth.additionalIssuers': [{ issuer: other.issuer, audiences: ['flyte-ci'] }] },
    });
    const keys = { first: await generateKeyPair('RS256'), other: await generateKeyPair('ES256') };
    for (const [provider, name, alg] of [
      [rig.provider, 'first', 'RS256'],
      [other, 'other', 'ES256'],
    ] as const) {
      const jwk = { ...(await exportJWK(keys[name].publicKey)), kid: 'key-1', alg, use: 'sig' };
      provider.behaviour.answers.jwks = { status: 200, body: JSON.stringify({ keys: [jwk] }) };
    }
    sign = (by, claims, header = {}) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: by === 'first' ? 'RS256' : 'ES256', kid: 'key-1', ...header })
        .sign(keys[by].privateKey);
    await rig.restart();
  });

  const claimsOf = (issuer: string, aud: string, changes: object = {}) => {
    const iat = Math.floor(Date.now() / 1000);
    return { iss: issuer, aud, sub: 'ada', client_id: 'native', scope: 'all', iat, exp: iat + 300, ...changes };
  };
  const first = (changes: object = {}) => claimsOf(rig.issuer, rig.url, changes);
  const second = (changes: object = {}) => claimsOf(other.issuer, 'flyte-ci', changes);
  const status = async (token: string) =>
    (await rig.ask('/me', { fields: { authorization: `Bearer ${token}` } })).status;

  it('each issuer’s own tokens are good', async () => {
    assert.deepEqual(
      [await status(await sign('first', first())), await status(await sign('other', second()))],
      [200, 200],
    );
  });

  it('neither key signs for the other issuer', async () => {
    assert.equal(await status(await sign('other', first())), 401);
    assert.equal(await status(await sign('first', second())), 401);
  });

  it('neither issuer’s token is for the other’s audience', async () => {
    assert.equal(await status(await sign('first', first({ aud: 'flyte-ci' }))), 401);
    assert.equal(await status(await sign('other', second({ aud: rig.url }))), 401);
    assert.equal(
      await status(await sign('other', second({ aud: ['flyte-ci', rig.url] }))),
      200,
      'one of its own is enough',
    );
  });

  it('no spelling of an issuer’s name but its own is that issuer', async () => {
    for (const iss of [
      `${other.issuer}/`,
      other.issuer.toUpperCase(),
      `${other.issuer}#`,
      ` ${other.issuer}`,
      [other.issuer],
      { toString: other.issuer },
      '__proto__',
      'constructor',
      undefined,
      null,
    ])
      assert.equal(await status(await sign('other', second({ iss }))), 401, JSON.stringify(iss));
  });

  it('a token that names its issuer twice is the last one’s', async () => {
    const body = JSON.stringify(second()).replace('{', `{"iss":${JSON.stringify(rig.issuer)},`);
    const input = `${segment({ alg: 'ES256', kid: 'key-1' })}.${segment(body)}`;
    assert.equal(await status(`${input}.${'A'.repeat(86)}`), 401);
  });

  it('the algorithm of one issuer’s key is none for the other’s', async () => {
    const rsa = await sign('first', second(), { alg: 'RS256' });
    const [, body = '', signature = ''] = rsa.split('.');
    assert.equal(await status(`${segment({ alg: 'ES256', kid: 'key-1' })}.${body}.${signature}`), 401);
    for (const provider of [rig.provider, other]) {
      const jwks = provider.behaviour.answers.jwks?.body ?? '';
      const { keys } = JSON.parse(jwks) as { keys: [Record<string, string>] };
      const input = `${segment({ alg: 'HS256', kid: 'key-1' })}.${segment(provider === other ? second() : first())}`;
      for (const secret of [jwks, JSON.stringify(keys[0]), keys[0]['n'] ?? keys[0]['x'] ?? '']) {
        const mac = createHmac('sha256', secret).update(input).digest('base64url');
        assert.equal(await status(`${input}.${mac}`), 401);
      }
    }
  });

  it('an unknown kid asks the issuer that the token names, and no other', async () => {
    const before = [rig.provider.calls.jwks, other.calls.jwks];
    rig.move(61_000);
    assert.equal(await status(await sign('other', second({ exp: second().exp + 600 }), { kid: 'key-2' })), 401);
    assert.deepEqual([rig.provider.calls.jwks - (before[0] ?? 0), other.calls.jwks - (before[1] ?? 0)], [0, 1]);
  });
});
