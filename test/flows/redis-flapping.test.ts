import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import { ask } from './ask.ts';
import { type ReplicatedRig, startReplicatedRig } from './replicas.ts';

type Blow = 'cut' | 'freeze' | 'kill';

async function strike(rig: ReplicatedRig, blow: Blow): Promise<void> {
  switch (blow) {
    case 'cut':
      await rig.redis.ask('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => undefined);
      return;
    case 'freeze':
      rig.redis.freeze();
      await until(rig, 'missing');
      return rig.redis.thaw();
    case 'kill':
      await rig.redis.kill();
      await until(rig, 'missing');
      return rig.redis.restart();
  }
}

async function until(rig: ReplicatedRig, what: 'there' | 'missing'): Promise<void> {
  for (;;) {
    const { missing } = (await ask(`${rig.admin()}/readyz`)).json();
    if (Array.isArray(missing) && missing.length > 0 === (what === 'missing')) return;
  }
}

for (const [store, settings, blows] of [
  // One that dies takes its sessions with it, and that is another story.
  ['redis', { 'session.store': 'redis' }, ['freeze', 'cut', 'freeze', 'cut', 'cut']],
  ['cookie', { coordination: 'redis' }, ['kill', 'freeze', 'cut', 'kill', 'cut']],
] as const) {
  describe(`a Redis that comes and goes (store: ${store})`, { skip: redisProgram.skip, timeout: 100_000 }, () => {
    it('lets nobody in or out wrongly, and is the end of nobody’s renewal', async () => {
      // Nothing is remembered: every request is proved.
      const rig = await startReplicatedRig({ settings: { ...settings, 'decisionCache.maxAge': '0s' } });
      const { cookie: stays } = await rig.signIn();
      const { cookie: left } = await rig.signIn();
      const get = async (cookie: string) => (await rig.ask('/me', { fields: { cookie } })).status;
      assert.equal((await rig.ask('/logout', { fields: { cookie: left } })).status, 302);
      const seen = { stays: new Set<number>(), left: new Set<number>() };
      let isOver = false;
      const keepAsking = async (name: 'stays' | 'left', cookie: string) => {
        while (!isOver) seen[name].add(await get(cookie));
      };
      const asking = [stays, stays, stays].map((cookie) => keepAsking('stays', cookie));
      asking.push(keepAsking('left', left));
      for (const blow of blows) {
        await strike(rig, blow);
        await until(rig, 'there');
      }
      isOver = true;
      await Promise.all(asking);
      assert.deepEqual([...seen.stays].sort(), store === 'redis' ? [200, 503] : [200]);
      assert.ok([...seen.left].every((status) => status === 401 || status === 503));
      rig.move(5 * 60_000 + 1000);
      const asked = rig.provider.calls.token;
      let status = await get(stays);
      // Not in the first moments after an outage, and what failed is left alone for a while.
      for (; status === 503; status = await get(stays)) rig.move(100);
      assert.deepEqual([status, rig.provider.calls.token], [200, asked + 1]);
    });
  });
}
