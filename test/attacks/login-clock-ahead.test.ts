import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../flows/ask.ts';
import { startFakeRig } from '../flows/rig.ts';

const TOKEN = 'k'.repeat(40);

// Replicas whose clocks are apart by up to a minute: who signs somebody out may believe that it is earlier than who signed
// them in. Here one process has both clocks, one after the other.
describe('all of a person’s sessions, one of which began by a clock that is ahead', { timeout: 60_000 }, () => {
  const start = async () => {
    const rig = await startFakeRig({
      settings: { 'session.store': 'memory' },
      files: { 'secrets/admin_token': TOKEN },
    });
    const signedIn = [await rig.signIn(), await rig.signIn()];
    rig.move(-45_000);
    const statuses = () =>
      Promise.all(signedIn.map(async ({ cookie }) => (await rig.ask('/me', { fields: { cookie } })).status));
    return { rig, cookie: signedIn[0]?.cookie ?? '', statuses };
  };

  it('are ended by an operator', async () => {
    const { rig, statuses } = await start();
    const { status } = await ask(`${rig.admin()}/api/sessions/revoke`, {
      method: 'POST',
      fields: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ subject: 'ada' }),
    });
    assert.deepEqual([status, await statuses()], [200, [401, 401]]);
  });

  it('are ended by that person', async () => {
    const { rig, cookie, statuses } = await start();
    const { status } = await rig.ask('/sessions', {
      method: 'POST',
      fields: { cookie, origin: rig.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'end=everywhere',
    });
    assert.deepEqual([status, await statuses()], [200, [401, 401]]);
  });

  it('are ended by the provider, whose clock is right', async () => {
    const { rig, statuses } = await start();
    const iat = Math.ceil(Date.now() / 1000);
    const event = 'http://schemas.openid.net/event/backchannel-logout';
    const token = await rig.provider.sign(
      { iss: rig.issuer, aud: 'web', sub: 'ada', iat, exp: iat + 120, jti: 'once', events: { [event]: {} } },
      { typ: 'logout+jwt' },
    );
    const { status } = await rig.ask('/backchannel-logout', {
      method: 'POST',
      fields: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    assert.deepEqual([status, await statuses()], [200, [401, 401]]);
  });
});
