import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { ask } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

// Providers differ in what they say: Keycloak says both, or who only; some say a `sid` that their ID tokens did not.
describe('a sign-out at the provider', { timeout: 60_000 }, () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  const signIn = async (sid?: string, sub = 'ada') => {
    rig.provider.behaviour.idToken = sid === undefined ? {} : { sid };
    rig.provider.behaviour.person = { sub };
    return (await rig.signIn()).cookie;
  };
  const say = async (whom: Readonly<Record<string, unknown>>) => {
    const at = Math.floor(Date.now() / 1000);
    const claims = { iss: rig.issuer, aud: 'web', iat: at, exp: at + 120, jti: randomUUID(), events: { [EVENT]: {} } };
    const { status } = await rig.ask('/backchannel-logout', {
      method: 'POST',
      fields: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `logout_token=${await rig.provider.sign({ ...claims, ...whom }, { typ: 'logout+jwt' })}`,
    });
    assert.equal(status, 200);
  };
  const whoIsIn = async (cookies: readonly string[]) =>
    Promise.all(cookies.map(async (cookie) => (await rig.ask('/me', { fields: { cookie } })).status === 200));

  it('of one session there, and whose it was, ends that, and those of the same person that may have come of it', async () => {
    const all = [await signIn('s1'), await signIn('s2'), await signIn(), await signIn(undefined, 'zoe')];
    await say({ sid: 's1', sub: 'ada' });
    assert.deepEqual(await whoIsIn(all), [false, true, false, true]);
    const again = await signIn();
    assert.deepEqual(await whoIsIn([again]), [true], 'who signs in again is in');
    await say({ sid: 's2', sub: 'ada' });
    assert.deepEqual(await whoIsIn([again]), [false], 'until the next one');
  });

  it('of one session there, and nobody’s name, ends that alone', async () => {
    const all = [await signIn('s3'), await signIn('s4'), await signIn()];
    await say({ sid: 's3' });
    assert.deepEqual(await whoIsIn(all), [false, true, true]);
  });

  it('of a person ends all of theirs', async () => {
    const all = [await signIn('s5'), await signIn(), await signIn('s6', 'zoe')];
    await say({ sub: 'ada' });
    assert.deepEqual(await whoIsIn(all), [false, false, true]);
  });

  it('is counted by what became of it, and what it ended by why', async () => {
    const counts = async () => {
      const { text } = await ask(`${rig.admin()}/metrics`);
      const found = text.matchAll(/^flytegate_(?:backchannel_logouts|streams_ended)_total\{\w+="(\w+)"\} (\d+)$/gm);
      return Object.fromEntries([...found].map(([, label, count]) => [label, Number(count)]));
    };
    const before = await counts();
    const cookie = await signIn('s7');
    const response = await fetch(`${rig.url}/api/v1/ticks`, { headers: { cookie } });
    const events = response.body?.getReader();
    await events?.read();
    await say({ sid: 's7' });
    await assert.rejects(async () => {
      while (!(await events?.read())?.done);
    });
    const form = { method: 'POST', fields: { 'content-type': 'application/x-www-form-urlencoded' } };
    assert.equal((await rig.ask('/backchannel-logout', { ...form, body: 'logout_token=x' })).status, 400);
    assert.equal((await rig.ask('/backchannel-logout', { method: 'POST', body: 'x' })).status, 400);
    const after = await counts();
    assert.deepEqual(
      ['done', 'refused', 'session_revoked'].map((label) => (after[label] ?? 0) - (before[label] ?? 0)),
      [1, 2, 1],
    );
  });
});
