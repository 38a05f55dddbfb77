import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { RedisSettings } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { Failure } from '../../src/failure.ts';
import { createRedis, type Redis } from '../../src/redis/redis.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { createTestLog } from '../oidc/rig.ts';

describe('a Redis that is asked', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  let server: RedisServer;
  let redis: Redis;
  let failures: string[];
  const made: Redis[] = [];
  const make = (changes: Partial<RedisSettings> = {}) => {
    const { log, logged } = createTestLog();
    const metrics = { redisFailure: (kind: string) => void failures.push(kind) };
    const one = createRedis({
      settings: () => server.settings(changes),
      role: 'commands',

      log,
      metrics,
    });
    made.push(one);
    return { redis: one, logged };
  };
  const untilUp = (one = redis) =>
    one.state.isUp ? Promise.resolve() : new Promise<void>((resolve) => void one.onUp(resolve));
  beforeEach(async () => {
    failures = [];
    server = await startRedis();
    redis = make().redis;
    void redis.start();
    await untilUp();
  });
  afterEach(async () => {
    for (const one of made.splice(0)) one.close();
    await server.stop();
  });

  const unreachable = { code: 'store_unreachable' };

  it('answers in texts, or in bytes where it is told to', async () => {
    await redis.send(['SET', 'k', Buffer.from([0, 255])]);
    assert.deepEqual(await redis.send(['GET', 'k'], { isBinary: true }), Buffer.from([0, 255]));
    assert.equal(await redis.send(['PING']), 'PONG');
    assert.equal(redis.key('s', 'x'), 'test:s:x');
  });

  it('fails in the time for one answer when Redis falls silent, and from then on at once', async () => {
    server.freeze();
    const begun = performance.now();
    await assert.rejects(redis.send(['GET', 'k']), unreachable);
    assert.ok(performance.now() - begun < 3000);
    assert.equal(redis.state.isUp, false);
    for (let n = 0; n < 100; n++) {
      const no = redis.send(['GET', 'k']).catch((cause: unknown) => cause);
      const inThisTurn = await Promise.race([no, new Promise((resolve) => setImmediate(resolve, 'waited'))]);
      assert.equal(inThisTurn instanceof Failure && inThisTurn.code, unreachable.code, 'a no takes no time');
    }
    assert.equal(failures.filter((kind) => kind === 'down').length, 100);
    server.thaw();
    await untilUp();
    assert.equal(await redis.send(['PING']), 'PONG');
  });

  it('takes no stall of this process for one of Redis', async () => {
    const impatient = make({ commandTimeoutMs: 100 }).redis;
    await impatient.start();
    const asked = impatient.send(['PING']);
    const until = performance.now() + 400;
    while (performance.now() < until);
    assert.equal(await asked, 'PONG');
    assert.equal(impatient.state.isUp, true);
  });

  it('fails at once when Redis dies, and comes back with it', async () => {
    await server.kill();
    await assert.rejects(redis.send(['GET', 'k']), unreachable);
    await server.restart();
    await untilUp();
    assert.equal(await redis.send(['PING']), 'PONG');
  });

  it('goes on after Redis flapped ten times', async () => {
    for (let n = 0; n < 10; n++) {
      await server.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      while (!redis.state.isUp) await untilUp();
    }
    await untilUp();
    // The last kill may be heard of only by the next question.
    await redis.send(['PING']).catch(() => undefined);
    await untilUp();
    assert.equal(await redis.send(['PING']), 'PONG');
  });

  it('never lets more wait than it has room for', async () => {
    server.freeze();
    const asked = Array.from({ length: 10_050 }, () => assert.rejects(redis.send(['GET', 'k'])));
    await Promise.all(asked);
    assert.equal(failures.filter((kind) => kind === 'full').length, 50);
  });

  it('says what Redis refused without taking it for dead', async () => {
    await server.ask('CONFIG', 'SET', 'maxmemory', '1');
    await assert.rejects(redis.send(['SET', 'k', 'v']), { code: 'store_unreachable', message: 'Redis answered OOM' });
    assert.equal(redis.state.isUp, true);
  });

  it('looks for the primary again when the one it has became a replica', async () => {
    await server.ask('REPLICAOF', '127.0.0.1', '1');
    await assert.rejects(redis.send(['SET', 'k', 'v']), { message: 'Redis answered READONLY' });
    assert.equal(redis.state.isUp, false);
    await server.ask('REPLICAOF', 'NO', 'ONE');
    await untilUp();
    await redis.send(['SET', 'k', 'v']);
  });

  it('never comes up with a wrong password, and says why once, without the password', async () => {
    await server.stop();
    server = await startRedis({ password: 'right-password' });
    const wrong = make({ password: new Secret('wrong-password') });
    void wrong.redis.start();
    while (failures.filter((kind) => kind === 'connect').length < 3) await new Promise(setImmediate);
    assert.equal(wrong.redis.state.isUp, false);
    const said = wrong.logged.filter(({ event }) => event === 'redis.unreachable');
    assert.equal(said.length, 1);
    assert.equal(said[0]?.facts['cause'], 'WRONGPASS');
    const right = make().redis;
    void right.start();
    await untilUp(right);
    assert.equal(await right.send(['PING']), 'PONG');
  });

  it('starts without Redis, and finds it when it comes', async () => {
    await server.kill();
    const late = make().redis;
    void late.start();
    await assert.rejects(late.send(['PING']), unreachable);
    await server.restart();
    await untilUp(late);
    assert.equal(await late.send(['PING']), 'PONG');
  });
});
