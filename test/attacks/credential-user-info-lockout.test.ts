import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

// Whoever guesses at API keys through Flyte's UserInfo used up the tries of every other address: the method looked up its
// callers without saying where they came from, so that all of them shared one limit.

const keyOf = (client: string, secret: string) => Buffer.from(`localhost:${client}:${secret}:acme`).toString('base64');

const userInfo = async (rig: FakeRig, key: string, from: string) => {
  const fields = { 'content-type': 'application/json', authorization: `Bearer ${key}`, 'x-forwarded-for': from };
  const path = '/flyteidl2.auth.IdentityService/UserInfo';
  return (await rig.ask(path, { method: 'POST', fields, body: '{}' })).status;
};

describe('guesses at API keys through UserInfo', () => {
  const settings = {
    'auth.apiKeys.enabled': true,
    'auth.apiKeys.failuresPerAddress': 3,
    'server.trustedProxies': ['127.0.0.1'],
  };
  it('count for the address that they come from, and lock nobody else out', async () => {
    const rig = await startFakeRig({ settings, behaviour: { clients: { 'ci-app': 'secret' } } });
    for (let i = 0; i < 10; i++) assert.equal(await userInfo(rig, keyOf(`app-${i}`, 'guess'), '10.0.0.1'), 401);
    assert.equal(rig.provider.calls.token, 3);
    assert.equal(await userInfo(rig, keyOf('ci-app', 'secret'), '10.0.0.2'), 200);
  });

  it('count together with those made elsewhere', async () => {
    const rig = await startFakeRig({ settings, behaviour: { clients: {} } });
    for (let i = 0; i < 10; i++) {
      const fields = { authorization: `Bearer ${keyOf(`app-${i}`, 'guess')}`, 'x-forwarded-for': '10.0.0.1' };
      assert.equal((await rig.ask('/me', { fields })).status, 401);
      assert.equal(await userInfo(rig, keyOf(`more-${i}`, 'guess'), '10.0.0.1'), 401);
    }
    assert.equal(rig.provider.calls.token, 3);
  });
});
