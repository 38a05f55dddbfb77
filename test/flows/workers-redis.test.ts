import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redisProgram, startRedis } from '../fakes/redis-server.ts';
import { ask } from './ask.ts';
import { startChild } from './child.ts';
import { endLater, startFakeRig } from './rig.ts';

describe('Two workers that share a Redis', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  it('are started by the settings alone, and a sign-out at one of them holds at the other', async () => {
    const redis = await startRedis();
    endLater(redis.stop);
    const settings = { 'server.workers': 2, coordination: 'redis', 'redis.url': redis.url };
    const rig = await startFakeRig({ settings });
    const { cookie } = await rig.signIn();
    await rig.stop();
    const child = await startChild(rig.settings.file);
    const ready = async () => Object((await ask(`${child.admin}/readyz`)).json()['workers']).ready;
    while ((await ready()) !== 2);
    const me = async () => (await ask(`${rig.url}/me`, { fields: { cookie, connection: 'close' } })).status;
    for (let i = 0; i < 4; i += 1) assert.equal(await me(), 200);
    assert.equal((await ask(`${rig.url}/logout`, { fields: { cookie } })).status, 302);
    // That it takes under a second is proved elsewhere; here other processes may have to share a busy machine.
    const until = Date.now() + 10_000;
    while (Date.now() < until && ((await me()) === 200 || (await me()) === 200));
    for (let i = 0; i < 6; i += 1) assert.equal(await me(), 401);
    child.kill('SIGTERM');
    assert.equal(await child.ended, 0);
  });
});
