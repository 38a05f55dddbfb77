import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { startProvider } from '../fakes/provider.ts';
import type { Answer } from '../flows/ask.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * Whoever makes the gateway believe a logout token signs people out; whoever makes it refuse good ones keeps them in; and
 * either may try to fill it up.
 */
describe('POST /backchannel-logout', { timeout: 60_000 }, () => {
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    rig = await startFakeRig({ behaviour: { idToken: { sid: 'there-1' } } });
    ({ cookie } = await rig.signIn());
  });

  const now = () => Math.floor(Date.now() / 1000);
  const claims = (changes: Readonly<Record<string, unknown>> = {}) => ({
    ...{ iss: rig.issuer, aud: 'web', iat: now(), exp: now() + 120, jti: randomUUID(), sub: 'ada', sid: 'there-1' },
    events: { [EVENT]: {} },
    ...changes,
  });
  const send = (token: string, fields: Record<string, string> = {}) =>
    rig.ask('/backchannel-logout', {
      method: 'POST',
      fields: { 'content-type': 'application/x-www-form-urlencoded', ...fields },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
  const isSignedIn = async (own = cookie) => (await rig.ask('/me', { fields: { cookie: own } })).status === 200;
  const assertRefused = async (answer: Answer) => {
    assert.equal(answer.status, 400);
    assert.equal(answer.one('cache-control'), 'no-store');
    const { error, error_description: why, reference } = answer.json();
    assert.equal(error, 'invalid_request');
    assert.ok(!/eyJ|ada|there-1/.test(String(why)), 'nothing of the token is said back');
    assert.match(String(reference), /^[\w-]+$/);
    assert.equal(await isSignedIn(), true);
  };

  for (const [what, changes] of [
    ['another client’s', { aud: 'other' }],
    ['another issuer’s', { iss: 'https://evil.test' }],
    ['no audience’s', { aud: undefined }],
    ['an audience list’s that leaves us out', { aud: ['other', 'more'] }],
    ['from the future', { iat: now() + 600, exp: now() + 1200 }],
    ['expired', { iat: now() - 600, exp: now() - 300 }],
    ['without exp', { exp: undefined }],
    ['without iat', { iat: undefined }],
    ['with exp as text', { exp: String(now() + 60) }],
    ['without jti', { jti: undefined }],
    ['with an empty jti', { jti: '' }],
    ['with a jti of 100 KB', { jti: 'x'.repeat(300) }],
    ['with a nonce', { nonce: 'n' }],
    ['with a null nonce', { nonce: null }],
    ['without events', { events: undefined }],
    ['with events as a list', { events: [EVENT] }],
    ['with another event', { events: { 'https://evil.test/event': {} } }],
    ['with the event as text', { events: { [EVENT]: 'yes' } }],
    ['with the event as null', { events: { [EVENT]: null } }],
    ['with an inherited event', { events: JSON.parse(`{"__proto__":{"${EVENT}":{}}}`) }],
    ['about nobody', { sub: undefined, sid: undefined }],
    ['with a sub that is no text', { sub: { $ne: '' } }],
    ['with an empty sid', { sid: '' }],
    ['with a sid that is no text', { sid: ['there-1'] }],
  ] as const)
    it(`refuses a token that is ${what}`, async () => {
      const given = claims(changes);
      const token = await rig.provider.sign(JSON.parse(JSON.stringify(given)), { typ: 'logout+jwt' });
      await assertRefused(await send(token));
    });

  for (const typ of ['at+jwt', 'secevent+jwt', 'jose', ''])
    it(`refuses a token of type "${typ}"`, async () => {
      await assertRefused(await send(await rig.provider.sign(claims(), { typ })));
    });

  it('refuses an ID token', async () => {
    const { events: _events, jti: _jti, ...rest } = claims({ nonce: 'n', at_hash: 'h' });
    await assertRefused(await send(await rig.provider.sign(rest)));
  });

  it('refuses an access token', async () => {
    await assertRefused(await send(await rig.provider.accessToken()));
  });

  it('refuses alg none', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['none', 'None', 'NONE'])
      await assertRefused(await send(`${part({ alg, typ: 'logout+jwt' })}.${part(claims())}.`));
  });

  it('refuses a MAC made with the public key', async () => {
    const jwk = rig.provider.publicJwk();
    const key = await importJWK(jwk, 'RS256', { extractable: true });
    if (key instanceof Uint8Array) throw new Error('no RSA key');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'HS256', kid: jwk.kid, typ: 'logout+jwt' })}.${part(claims())}`;
    const mac = createHmac('sha256', await exportSPKI(key))
      .update(signed)
      .digest('base64url');
    await assertRefused(await send(`${signed}.${mac}`));
  });

  it('refuses a signature of a key that the token brings along, or of another issuer', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const header = { alg: 'RS256', typ: 'logout+jwt', jwk: rig.provider.publicJwk() };
    await assertRefused(await send(await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey)));
    const other = await startProvider();
    endLater(other.stop);
    await assertRefused(await send(await other.sign(claims())));
  });

  it('refuses a subject of another issuer', async () => {
    const other = await startProvider();
    endLater(other.stop);
    await assertRefused(await send(await other.sign(claims({ iss: other.issuer, sid: undefined }))));
  });

  for (const [what, body] of [
    ['nothing', ''],
    ['another parameter', 'token=x'],
    ['an empty token', 'logout_token='],
    ['two tokens', 'logout_token=a&logout_token=b'],
    ['dots', `logout_token=${'.'.repeat(10_000)}`],
    ['bytes', `logout_token=${'%00%ff'.repeat(100)}`],
    ['JSON', '{"logout_token":"x"}'],
  ])
    it(`refuses a form of ${what}`, async () => {
      const fields = { 'content-type': 'application/x-www-form-urlencoded' };
      await assertRefused(await rig.ask('/backchannel-logout', { method: 'POST', fields, body: body ?? '' }));
    });

  it('refuses what is no form', async () => {
    await assertRefused(await send(await rig.provider.sign(claims()), { 'content-type': 'application/json' }));
  });

  it('refuses a huge body, and reads no more of it', async () => {
    const answer = await send('x'.repeat(200_000));
    assert.equal(answer.status, 413);
    assert.equal(answer.one('cache-control'), 'no-store');
  });

  for (const method of ['GET', 'PUT', 'DELETE'])
    it(`refuses ${method}, token or not`, async () => {
      const token = await rig.provider.sign(claims(), { typ: 'logout+jwt' });
      const { status, one } = await rig.ask(`/backchannel-logout?logout_token=${token}`, { method });
      assert.deepEqual([status, one('allow')], [405, 'POST']);
      assert.equal(await isSignedIn(), true);
    });

  it('belongs to the service behind on hosts that are none of ours', async () => {
    const before = rig.log.of('logout.by_provider').length;
    const { status } = await send(await rig.provider.sign(claims(), { typ: 'logout+jwt' }), {
      host: 'app.example.com',
    });
    assert.ok([401, 403, 404].includes(status), `was ${status}`);
    assert.equal(rig.log.of('logout.by_provider').length, before);
  });

  it('does not tell a token that was used from one that is bad, and ends nothing that began since', async () => {
    const token = await rig.provider.sign(claims({ sid: undefined, sub: 'ada' }), { typ: 'logout+jwt' });
    const first = await send(token);
    assert.deepEqual([first.status, first.one('cache-control'), first.text], [200, 'no-store', '']);
    assert.equal(await isSignedIn(), false);
    ({ cookie } = await rig.signIn());
    await assertRefused(await send(token));
  });

  it('cannot be steered by what cookies and credentials come along', async () => {
    const token = await rig.provider.sign(claims({ aud: 'other' }), { typ: 'logout+jwt' });
    await assertRefused(await send(token, { cookie, authorization: `Bearer ${token}` }));
  });

  it('answers 503 while the keys cannot be had, and takes the same token afterwards', async () => {
    const down = await startFakeRig({ behaviour: { idToken: { sid: 'there-1' } } });
    const { cookie: own } = await down.signIn();
    await down.provider.rotateKeys({ keepOld: false });
    const token = await down.provider.sign(claims({ iss: down.issuer }), { typ: 'logout+jwt' });
    const post = () =>
      down.ask('/backchannel-logout', {
        method: 'POST',
        fields: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `logout_token=${token}`,
      });
    down.provider.behaviour.answers.jwks = { status: 500 };
    const refused = await post();
    assert.deepEqual([refused.status, refused.one('cache-control')], [503, 'no-store']);
    assert.equal((await down.ask('/me', { fields: { cookie: own } })).status, 200);
    delete down.provider.behaviour.answers.jwks;
    down.move(31_000);
    assert.equal((await post()).status, 200);
    assert.equal((await down.ask('/me', { fields: { cookie: own } })).status, 401);
  });

  it('stops listening to an address that sends bad ones without end', async () => {
    const flooded = await startFakeRig();
    const fields = { 'content-type': 'application/x-www-form-urlencoded' };
    const statuses: number[] = [];
    // They are forgotten at ten a second, so it depends on the machine how many it takes.
    for (let n = 0; n < 5000 && statuses.at(-1) !== 429; n += 1)
      statuses.push(
        (await flooded.ask('/backchannel-logout', { method: 'POST', fields, body: 'logout_token=x' })).status,
      );
    assert.equal(statuses[0], 400);
    assert.equal(statuses.at(-1), 429);
    flooded.move(60_000);
    const { status } = await flooded.ask('/backchannel-logout', { method: 'POST', fields, body: 'logout_token=x' });
    assert.equal(status, 400, 'a minute later it does again');
  });
});
