import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../src/failure.ts';
import { alone, type SharedCoordination } from '../../src/oidc/coordination.ts';
import type { Renewal } from '../../src/oidc/lineage.ts';
import { createRedisCoordination } from '../../src/oidc/redis-coordination.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { handleOf } from '../../src/session/marks.ts';
import { createSeal } from '../../src/session/seal.ts';
import type { Session } from '../../src/session/session.ts';
import { describeRenewal } from '../contracts/renewal.contract.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { cookieKey, HOUR, session } from '../session/fixtures.ts';
import { createTestLog } from './rig.ts';

const { skip } = redisProgram;
let server: RedisServer;
if (skip === false) {
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
}

interface Replica {
  readonly redis: Redis;
  readonly coordination: SharedCoordination;
  /** Handles of sessions that turned out to be over here. */
  readonly over: readonly string[];
}

const limits = { idleMs: 8 * HOUR, absoluteMs: 7 * 24 * HOUR };

async function join(leaseMs: number): Promise<Replica> {
  const redis = connectRedis(server, 'commands');
  await untilUp(redis);
  const [seal, { log }] = [createSeal([cookieKey(1)]), createTestLog()];
  const over: string[] = [];
  const onOver = ({ id }: Session) => void over.push(handleOf(id));
  const coordination = createRedisCoordination({ redis, seal, leaseMs, limits, onOver, now: Date.now, log });
  return { redis, coordination, over };
}

describeRenewal('one process', async () => ({ coordinations: [alone], close: () => undefined }));

describeRenewal(
  'three processes that share a Redis',
  async () => {
    await server.ask('FLUSHALL');
    const replicas = await Promise.all([join(7000), join(7000), join(7000)]);
    return {
      coordinations: replicas.map(({ coordination }) => coordination),
      close: () => {
        for (const { redis } of replicas) redis.close();
      },
    };
  },
  skip,
);

describe('a lease on a refresh token', { skip, timeout: 60_000 }, () => {
  const replicas: Replica[] = [];
  const leaseMs = 600;
  const second: Renewal = {
    kind: 'renewed',
    session: session({ refreshToken: 'two', accessExpiresAt: Date.now() + 1e6 }),
  };
  let spentTwice = 0;
  const never = async () => {
    spentTwice += 1;
    return second;
  };
  afterEach(() => assert.equal(spentTwice, 0, 'nobody spends a token that somebody else is at'));
  const add = async (ms = leaseMs) => {
    const replica = await join(ms);
    replicas.push(replica);
    return replica;
  };
  let here: Replica;
  let there: Replica;
  beforeEach(async () => {
    for (const { redis } of replicas.splice(0)) redis.close();
    await server.ask('FLUSHALL');
    [here, there] = [await add(), await add()];
  });
  after(() => {
    for (const { redis } of replicas) redis.close();
  });

  it('is prolonged for as long as the provider takes', async () => {
    const { promise, resolve } = Promise.withResolvers<Renewal>();
    // Long enough for a busy machine to prolong it in time, and for the other one to wait until then.
    const longMs = 2000;
    const [holder, waiter] = [await add(longMs), await add(longMs)];
    const owner = holder.coordination.once(session(), () => promise);
    const other = waiter.coordination.once(session(), never);
    const begun = performance.now();
    while (performance.now() - begun < 1.3 * longMs) await server.ask('PING');
    resolve(second);
    assert.deepEqual(await Promise.all([owner, other]), [second, second]);
  });

  it('is taken over when its owner dies', async () => {
    let takenOver = 0;
    void here.coordination.once(session(), () => new Promise(() => undefined));
    while (Number(await server.ask('DBSIZE')) === 0) await new Promise(setImmediate);
    here.redis.close();
    const taken = there.coordination.once(session(), async () => {
      takenOver += 1;
      return second;
    });
    assert.deepEqual([await taken, takenOver], [second, 1]);
  });

  it('lets nobody wait for ever', async () => {
    void here.coordination.once(session(), () => new Promise(() => undefined));
    while (Number(await server.ask('DBSIZE')) === 0) await new Promise(setImmediate);
    const renewal = await there.coordination.once(session(), never);
    assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'store_unreachable');
  });

  it('is not to be had while Redis is away: no token is spent', async () => {
    server.freeze();
    const renewal = await here.coordination.once(session(), never);
    assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'store_unreachable');
    server.thaw();
    await Promise.all([here, there].map(({ redis }) => untilUp(redis)));
  });

  it('that ended while Redis was away is told before anybody spends the token again', async () => {
    const { promise, resolve } = Promise.withResolvers<Renewal>();
    const owner = here.coordination.once(session(), () => promise);
    while (Number(await server.ask('DBSIZE')) === 0) await new Promise(setImmediate);
    await server.kill();
    resolve(second);
    assert.deepEqual(await owner, second, 'whoever asked has it at once');
    // Empty: neither the lease nor the result is there.
    await server.restart();
    await untilUp(there.redis);
    let renewal: Renewal;
    do renewal = await there.coordination.once(session(), never);
    while (renewal.kind === 'failed');
    assert.deepEqual(renewal, second);
  });

  it('is given to nobody in the first moments after an outage', async () => {
    await server.kill();
    await server.restart();
    await untilUp(there.redis);
    const renewal = await there.coordination.once(session(), never);
    assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'store_unreachable');
  });

  it('that an emptied Redis forgot is taken again by its owner', async () => {
    const { promise, resolve } = Promise.withResolvers<Renewal>();
    const owner = here.coordination.once(session(), () => promise);
    while (Number(await server.ask('DBSIZE')) === 0) await new Promise(setImmediate);
    await server.ask('FLUSHALL');
    while (Number(await server.ask('DBSIZE')) === 0) await new Promise(setImmediate);
    const other = there.coordination.once(session(), never);
    resolve(second);
    assert.deepEqual(await Promise.all([owner, other]), [second, second]);
  });

  it('and its result say nothing to whoever has the database, nor the result to whoever has the keys as well', async () => {
    await here.coordination.once(session(), async () => second);
    const [key = ''] = Object(await server.ask('KEYS', 'test:renewed:*'));
    assert.ok(!key.includes('refresh-token'));
    const [, , value = ''] = String(await server.ask('GET', key)).split(' ');
    const { record, ...rest } = (await createSeal([cookieKey(1)]).open('renewal', value)) ?? {};
    assert.ok(!JSON.stringify(rest).includes(session().id) && !Buffer.from(String(record), 'base64').includes('two'));
    const ttl = Number(await server.ask('PTTL', key));
    assert.ok(ttl > 900_000 && ttl <= 1_000_000);
  });

  it('is free again after a failure, which the others hear for a moment', async () => {
    const cause = new Failure('issuer_unreachable', 'down');
    await here.coordination.once(session(), async () => ({ kind: 'failed', cause }));
    const heard = await there.coordination.once(session(), never);
    assert.equal(heard.kind === 'failed' && heard.cause.code, 'renewal_failed');
    while (Number(await server.ask('DBSIZE')) > 0) await new Promise(setImmediate);
    assert.deepEqual(await there.coordination.once(session(), async () => second), second);
  });
});
