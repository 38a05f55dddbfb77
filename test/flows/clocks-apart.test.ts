import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import { type Answer, ask, type Question } from './ask.ts';
import { type Replica, type ReplicatedRig, startReplicatedRig } from './replicas.ts';

const TOKEN = 'k'.repeat(40);
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

interface Gateway {
  ask(path: string, question?: Question): Promise<Answer>;
}

// In cookie mode nobody knows which sessions a person has: a sign-out of all of them goes by when they began.
describe('gateways whose clocks are apart', { skip: redisProgram.skip, timeout: 90_000 }, () => {
  let rig: ReplicatedRig;
  let other: Replica;
  before(async () => {
    const files = { 'secrets/admin_token': TOKEN };
    rig = await startReplicatedRig({ settings: { coordination: 'redis' }, files });
    other = await rig.addReplica();
  });

  const me = async (gateway: Gateway, cookie: string) => (await gateway.ask('/me', { fields: { cookie } })).status;
  const hears = async (gateway: Gateway, cookie: string, status: number) => {
    const until = performance.now() + 1000;
    let last = await me(gateway, cookie);
    while (last !== status && performance.now() < until) last = await me(gateway, cookie);
    assert.equal(last, status);
  };
  const ways: readonly (readonly [who: string, signOut: (cookie: string) => Promise<Answer>])[] = [
    [
      'an operator',
      () =>
        ask(`${other.admin}/api/sessions/revoke`, {
          method: 'POST',
          fields: { authorization: `Bearer ${TOKEN}` },
          body: '{"subject":"ada"}',
        }),
    ],
    [
      'the provider',
      async () => {
        const at = Math.floor(Date.now() / 1000);
        const claims = { iss: rig.issuer, aud: 'web', iat: at, exp: at + 120, jti: randomUUID(), sub: 'ada' };
        const token = await rig.provider.sign({ ...claims, events: { [EVENT]: {} } }, { typ: 'logout+jwt' });
        return other.ask('/backchannel-logout', {
          method: 'POST',
          fields: { 'content-type': 'application/x-www-form-urlencoded' },
          body: `logout_token=${token}`,
        });
      },
    ],
    [
      'the person, everywhere',
      (cookie) =>
        other.ask('/sessions', {
          method: 'POST',
          fields: { cookie, origin: rig.url, 'content-type': 'application/x-www-form-urlencoded' },
          body: 'end=everywhere',
        }),
    ],
  ];

  for (const aheadMs of [58_000, -58_000])
    for (const [who, signOut] of ways)
      it(`${who} signs a person out who signed in where the clock is ${aheadMs / 1000} s ahead, and who may sign in again there at once`, async () => {
        rig.move(aheadMs);
        try {
          const first = await rig.signIn();
          const second = await rig.signIn();
          await hears(other, second.cookie, 200);
          assert.equal((await signOut(second.cookie)).status, 200);
          for (const { cookie } of [first, second]) {
            assert.equal(await me(other, cookie), 401);
            await hears(rig, cookie, 401);
          }
          const again = await rig.signIn();
          for (const gateway of [rig, other]) assert.equal(await me(gateway, again.cookie), 200);
          // And out again, at the same moment as far as anybody can tell.
          assert.equal((await signOut(again.cookie)).status, 200);
          await hears(rig, again.cookie, 401);
        } finally {
          rig.move(-aheadMs);
        }
      });
});
