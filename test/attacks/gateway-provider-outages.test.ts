import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBrowser } from '../fakes/browser.ts';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

const minuteMs = 60_000;
/** Tries that nobody has to wait for. */
const settings = { 'auth.appAuth.externalAuthServer.retryDelay': '0s' };

describe('while the provider is down', () => {
  const bearer = async (rig: FakeRig, changes: Record<string, unknown> = {}) => ({
    'flyte-authorization': `Bearer ${await rig.provider.accessToken(changes)}`,
  });
  const status = async (rig: FakeRig, fields: Record<string, string>) => (await rig.ask('/me', { fields })).status;

  it('new tokens are still proved with the keys at hand, however old those are', async () => {
    const rig = await startFakeRig({ settings });
    assert.equal(await status(rig, await bearer(rig)), 200);
    await rig.provider.stop();
    for (let i = 0; i < 3; i++) {
      rig.move(30 * minuteMs);
      assert.equal(await status(rig, await bearer(rig)), 200);
    }
  });

  it('a token of a key that nobody has seen is “could not tell”, remembered by nobody, and good once the key is there', async () => {
    const rig = await startFakeRig({ settings });
    assert.equal(await status(rig, await bearer(rig)), 200);
    await rig.provider.rotateKeys({ keepOld: false });
    const fields = await bearer(rig);
    await rig.provider.stop();
    rig.move(minuteMs);
    const answer = await rig.ask('/me', { fields });
    assert.equal(answer.status, 503);
    assert.equal(answer.one('x-accel-expires'), '0');
    await rig.provider.restart();
    rig.move(minuteMs);
    assert.equal(await status(rig, fields), 200);
  });

  it('sessions that are not due go on, also through a restart of the gateway', async () => {
    const rig = await startFakeRig({ settings });
    const { cookie } = await rig.signIn();
    await rig.provider.stop();
    await rig.restart();
    assert.equal(await status(rig, { cookie }), 200);
    assert.equal((await rig.ask('/api/v1/projects', { fields: { cookie } })).status, 200);
  });

  it('a gateway that started without it finds it when it comes back', async () => {
    const rig = await startFakeRig({ settings });
    await rig.provider.stop();
    await rig.restart();
    const fields = await bearer(rig);
    assert.equal(await status(rig, fields), 503);
    const page = await createBrowser().open(`${rig.url}/console`);
    assert.equal(page.status, 503);
    assert.match(page.text, /identity provider cannot be reached/);
    assert.deepEqual(page.headers.getSetCookie(), []);
    await rig.provider.restart();
    rig.move(minuteMs);
    assert.equal(await status(rig, fields), 200);
    assert.equal((await rig.signIn()).page.status, 200);
  });

  it('a token that dies is “could not tell” until somebody could renew it, then a no', async () => {
    const rig = await startFakeRig({ settings });
    const fields = await bearer(rig);
    assert.equal(await status(rig, fields), 200);
    await rig.provider.stop();
    rig.move(10 * minuteMs);
    assert.equal(await status(rig, fields), 503);
    await rig.provider.restart();
    rig.move(minuteMs);
    assert.equal(await status(rig, fields), 401);
  });

  it('tokens that died make nobody ask the provider again and again', async () => {
    const rig = await startFakeRig({ settings });
    assert.equal(await status(rig, await bearer(rig)), 200);
    const asked = rig.provider.calls.discovery;
    for (let exp = 1; exp <= 5; exp++) assert.equal(await status(rig, await bearer(rig, { exp })), 401);
    assert.ok(rig.provider.calls.discovery - asked <= 1);
  });

  it('nobody without a credential hears of it', async () => {
    const rig = await startFakeRig({ settings });
    await rig.provider.stop();
    await rig.restart();
    assert.equal(await status(rig, {}), 401);
    assert.equal(await status(rig, { authorization: 'Bearer not-a-token' }), 401);
  });

  it('a provider that hangs is waited for no longer than auth.timeout', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.timeout': '150ms' } });
    const release = rig.provider.hold('jwks');
    await rig.restart();
    assert.equal(await status(rig, await bearer(rig)), 503);
    release();
    rig.move(minuteMs);
    assert.equal(await status(rig, await bearer(rig)), 200);
  });

  for (const [what, answer] of Object.entries({
    'a 500': { status: 500 },
    'a page for people': { status: 200, fields: { 'content-type': 'text/html' }, body: '<html>maintenance</html>' },
    'an empty answer': { status: 200, body: '' },
    'a megabyte of it': { status: 200, body: `{"keys":[${'1,'.repeat(1 << 20)}1]}` },
    'a redirect': { status: 302, fields: { location: 'http://127.0.0.1:1/' } },
  })) {
    it(`${what} in place of its keys lets nobody in, and signs nobody out`, async () => {
      const rig = await startFakeRig({ settings });
      const { cookie } = await rig.signIn();
      rig.provider.behaviour.answers.jwks = answer;
      await rig.restart();
      assert.equal(await status(rig, await bearer(rig)), 503);
      assert.equal(await status(rig, { cookie }), 200);
    });

    it(`${what} in place of new tokens keeps a session until its access token dies, and its cookie longer`, async () => {
      const rig = await startFakeRig({ settings });
      const { cookie } = await rig.signIn();
      rig.provider.behaviour.answers.token = answer;
      rig.move(4.6 * minuteMs);
      assert.equal(await status(rig, { cookie }), 200);
      rig.move(minuteMs);
      const late = await rig.ask('/me', { fields: { cookie } });
      assert.deepEqual([late.status, late.all('set-cookie')], [503, []]);
      delete rig.provider.behaviour.answers.token;
      rig.move(minuteMs);
      assert.equal(await status(rig, { cookie }), 200);
    });
  }
});
