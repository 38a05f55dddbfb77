import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Renewal } from '../../src/oidc/lineage.ts';
import { createRedisCoordination } from '../../src/oidc/redis-coordination.ts';
import { packRenewal } from '../../src/oidc/shared-renewal.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { handleOf } from '../../src/session/marks.ts';
import { sealRecord } from '../../src/session/record.ts';
import { createRedisStore } from '../../src/session/redis-store.ts';
import { createSeal } from '../../src/session/seal.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { createTestLog } from '../oidc/rig.ts';
import { cookieKey, createTestClock, HOUR, session } from '../session/fixtures.ts';

describe('somebody who reads and writes the database', { skip: redisProgram.skip }, () => {
  let server: RedisServer;
  let redis: Redis;
  const seal = createSeal([cookieKey(1)]);
  const theirs = createSeal([cookieKey(9)]);
  const limits = { idleMs: HOUR, absoluteMs: HOUR };
  const needs = () => ({ redis, seal, limits, now: createTestClock().now, log: createTestLog().log });
  const store = () => createRedisStore(needs());
  const keyOf = (id: string) => `test:s:${handleOf(id)}`;
  before(async () => {
    server = await startRedis();
    redis = connectRedis(server, 'commands');
    await untilUp(redis);
  });
  beforeEach(() => server.ask('FLUSHALL'));
  after(async () => {
    redis.close();
    await server.stop();
  });

  it('becomes nobody by putting somebody’s record in place of their own', async () => {
    await store().create(session({ id: 'victim', claims: { sub: 'victim' } }));
    const cookie = await store().create(session({ id: 'thief', claims: { sub: 'thief' } }));
    await server.ask('COPY', keyOf('victim'), keyOf('thief'), 'REPLACE');
    assert.equal((await store().open(cookie)).kind, 'unreadable');
  });

  it('becomes nobody by a record of their own making', async () => {
    const cookie = await store().create(session({ id: 'thief', claims: { sub: 'thief' } }));
    for (const forged of [
      sealRecord(session({ id: 'victim', claims: { sub: 'admin' } })),
      Buffer.from(JSON.stringify(session({ id: 'thief', claims: { sub: 'admin' } }))),
      Buffer.alloc(100),
      Buffer.of(1),
    ]) {
      await redis.send(['HSET', keyOf('thief'), 'r', forged]);
      assert.equal((await store().open(cookie)).kind, 'unreadable');
    }
  });

  it('cannot make up a renewed session, whether it is sealed by other keys, for another session, or not at all', async () => {
    const coordination = createRedisCoordination({ ...needs(), leaseMs: 1000, onOver: () => undefined });
    const forged = { kind: 'renewed', session: session({ claims: { sub: 'admin' }, refreshToken: 'theirs' }) } as const;
    const others = { kind: 'renewed', session: session({ id: 'another' }) } as const;
    await coordination.once(session(), async () => forged);
    const [key = ''] = Object(await server.ask('KEYS', 'test:renewed:*'));
    const pack = (renewal: Renewal, by = seal) => packRenewal(renewal, session(), by);
    for (const value of [await pack(forged, theirs), await pack(others), JSON.stringify(forged), 'renewed - x']) {
      await server.ask('SET', key, value);
      const renewal = await coordination.once(session(), () => assert.fail('there is a result'));
      assert.notEqual(renewal.kind, 'renewed');
    }
  });

  it('lists nobody, and says nothing of a person to whoever lists', async () => {
    await store().create(session(), { userAgent: 'Firefox', address: '192.0.2.7' });
    const entry = await theirs.seal('session-index', { handle: 'a', subject: 'admin' });
    await server.ask('HSET', keyOf(session().id), 'i', entry);
    assert.deepEqual((await store().list?.page())?.sessions, []);
  });
});
