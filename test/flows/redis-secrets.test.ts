import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createClient } from '@redis/client';
import { makeKeyPair } from '../../src/config/keygen.ts';
import { blockKey, hashKey } from '../config/settings-folder.ts';
import { redisProgram, startRedis } from '../fakes/redis-server.ts';
import { startReplicatedRig } from './replicas.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const byHand = { 'server.reloadInterval': '0s' };

async function write(rig: FakeRig, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) await writeFile(join(rig.settings.folder, path), content);
}

describe('the password of Redis', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  for (const first of ['the gateway', 'Redis'] as const)
    it(`is changed while people are signed in: ${first} has the new one first`, async () => {
      const redis = await startRedis({ password: 'the first one' });
      endLater(redis.stop);
      const operator = createClient({ RESP: 2, url: redis.url, password: 'the first one' });
      operator.on('error', () => undefined);
      await operator.connect();
      endLater(async () => operator.destroy());
      const rig = await startFakeRig({
        settings: { ...byHand, 'session.store': 'redis', 'redis.url': redis.url, 'decisionCache.maxAge': '0s' },
        files: { 'secrets/redis_password': 'the first one\n' },
      });
      const { cookie } = await rig.signIn();
      const me = async () => (await rig.ask('/me', { fields: { cookie } })).status;
      assert.equal(await me(), 200);
      const connected = () => rig.log.of('redis.connected').length;
      const steps = {
        'the gateway': async () => {
          await write(rig, { 'secrets/redis_password': 'the second one\n' });
          assert.equal(await rig.reload(), 'reloaded');
        },
        Redis: async () => {
          await operator.sendCommand(['CONFIG', 'SET', 'requirepass', 'the second one']);
          await operator.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
        },
      };
      const before = connected();
      if (first === 'Redis') {
        await steps.Redis();
        await rig.log.until(() => rig.log.of('redis.unreachable').length === 2);
        assert.equal(await me(), 503, 'nobody is signed out meanwhile');
        await steps['the gateway']();
      } else {
        await steps['the gateway']();
        assert.equal(await me(), 200, 'what stands goes on');
        await steps.Redis();
      }
      await rig.log.until(() => connected() === before + 2);
      assert.equal(await me(), 200);
      for (const secret of ['the first one', 'the second one']) assert.ok(!rig.log.text().includes(secret));
    });
});

describe('cookie keys of replicas that share a Redis', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  it('may be new to one of them: it is told of what was signed out meanwhile once it has them', async () => {
    const rig = await startReplicatedRig({ settings: { ...byHand, coordination: 'redis' } });
    const { cookie } = await rig.signIn();
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    await write(rig, {
      'secrets/cookie_hash_key': `${hash}\n${hashKey}\n`,
      'secrets/cookie_block_key': `${block}\n${blockKey}\n`,
    });
    const replica = await rig.addReplica();
    assert.equal((await replica.ask('/logout', { fields: { cookie } })).status, 302);
    await rig.log.until(() => rig.log.of('revocations.sealed').length > 0);
    assert.equal(await rig.reload(), 'reloaded');
    const until = performance.now() + 15_000;
    const me = async () => (await rig.ask('/me', { fields: { cookie } })).status;
    while ((await me()) !== 401 && performance.now() < until);
    assert.equal(await me(), 401);
  });
});
