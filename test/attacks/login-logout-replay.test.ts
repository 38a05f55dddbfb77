import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import type { Answer, Question } from '../flows/ask.ts';
import { type Replica, type ReplicatedRig, startReplicatedRig } from '../flows/replicas.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

interface Asked {
  ask(path: string, question?: Question): Promise<Answer>;
}

/**
 * Whoever has seen a logout token go by sends it again, to another gateway than the one that has heard it: a person who
 * signed in again meanwhile would be signed out by it, as often as it is sent.
 */
for (const [store, settings] of [
  ['cookie', { coordination: 'redis' }],
  ['redis', { 'session.store': 'redis' }],
] as const)
  describe(`a logout token at several gateways (store: ${store})`, { skip: redisProgram.skip, timeout: 90_000 }, () => {
    let rig: ReplicatedRig;
    let other: Replica;
    before(async () => {
      rig = await startReplicatedRig({ settings });
      other = await rig.addReplica();
    });

    const tokenFor = (changes: Readonly<Record<string, unknown>> = {}) => {
      const at = Math.floor(Date.now() / 1000);
      const claims = { iss: rig.issuer, aud: 'web', iat: at, exp: at + 120, jti: randomUUID(), sub: 'ada' };
      return rig.provider.sign({ ...claims, events: { [EVENT]: {} }, ...changes }, { typ: 'logout+jwt' });
    };
    const send = (gateway: Asked, token: string) =>
      gateway.ask('/backchannel-logout', {
        method: 'POST',
        fields: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `logout_token=${token}`,
      });
    const isSignedIn = async (gateway: Asked, cookie: string) =>
      (await gateway.ask('/me', { fields: { cookie } })).status === 200;

    it('is refused by the others once it was used, and whoever signed in again stays signed in', async () => {
      const before = await rig.signIn();
      const token = await tokenFor();
      assert.equal((await send(other, token)).status, 200);
      while (await isSignedIn(rig, before.cookie));
      const { cookie } = await rig.signIn();
      const late = await rig.addReplica();
      for (const gateway of [rig, other, late]) {
        const { status, one, json } = await send(gateway, token);
        assert.deepEqual([status, one('cache-control'), json()['error']], [400, 'no-store', 'invalid_request']);
      }
      for (const gateway of [rig, other, late]) assert.equal(await isSignedIn(gateway, cookie), true);
    });

    it('ends what it ends once, to whichever of them it is sent at the same time', async () => {
      const token = await tokenFor();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => send(n % 2 ? rig : other, token)));
      const statuses = answers.map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 200).length, 1);
      assert.ok(statuses.every((status) => [200, 400, 503].includes(status)));
      assert.deepEqual([(await send(rig, token)).status, (await send(other, token)).status], [400, 400]);
    });

    it('that could not be told everybody is in force where it was heard, and is no replay when it comes again', async () => {
      const { cookie } = await rig.signIn();
      const token = await tokenFor();
      await rig.redis.kill();
      const { status, one } = await send(rig, token);
      assert.deepEqual([status, one('retry-after'), one('cache-control')], [503, '5', 'no-store']);
      if (store === 'cookie') assert.equal(await isSignedIn(rig, cookie), false);
      await rig.redis.restart();
      let again = await send(other, token);
      while (again.status === 503) again = await send(other, token);
      assert.equal(again.status, 200);
      assert.equal(await isSignedIn(other, cookie), false);
      let third = await send(rig, token);
      while (third.status === 503) third = await send(rig, token);
      assert.equal(third.status, 400);
    });
  });
