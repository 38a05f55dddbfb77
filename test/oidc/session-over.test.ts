import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { SharedCoordination } from '../../src/oidc/coordination.ts';
import type { Renewal } from '../../src/oidc/lineage.ts';
import { createRedisCoordination } from '../../src/oidc/redis-coordination.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { createSeal } from '../../src/session/seal.ts';
import type { Session } from '../../src/session/session.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { cookieKey, HOUR, session } from '../session/fixtures.ts';
import { createTestLog } from './rig.ts';

interface Replica {
  readonly redis: Redis;
  readonly coordination: SharedCoordination;
}

describe('a provider’s no', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  let server: RedisServer;
  const replicas: Replica[] = [];
  /** Refresh tokens of sessions that turned out to be over, by whichever replica. */
  const over: (string | undefined)[] = [];
  const leaseMs = 5000;
  const limits = { idleMs: 8 * HOUR, absoluteMs: 7 * 24 * HOUR };
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  const join = async (): Promise<Replica> => {
    const redis = connectRedis(server, 'commands');
    await untilUp(redis);
    const [seal, { log }] = [createSeal([cookieKey(1)]), createTestLog()];
    const onOver = ({ refreshToken }: Session) => void over.push(refreshToken);
    const coordination = createRedisCoordination({ redis, seal, leaseMs, limits, onOver, now: Date.now, log });
    const replica = { redis, coordination };
    replicas.push(replica);
    return replica;
  };
  let here: Replica;
  let there: Replica;
  beforeEach(async () => {
    await server.ask('FLUSHALL');
    over.length = 0;
    [here, there] = [await join(), await join()];
    await here.coordination.began(form('x'));
  });
  afterEach(() => {
    for (const { redis } of replicas.splice(0)) redis.close();
  });

  const form = (refreshToken: string, livesMs = 0): Session =>
    session({ startedAt: Date.now(), refreshToken, accessExpiresAt: Date.now() + livesMs });
  const renewed = (refreshToken: string, livesMs = 2 * HOUR): Renewal => ({
    kind: 'renewed',
    session: form(refreshToken, livesMs),
  });
  const refused: Renewal = { kind: 'refused' };
  const ask = ({ coordination }: Replica, token: string, answer: Renewal) =>
    coordination.once(form(token), async () => answer);
  const tokenIn = (renewal: Renewal) => (renewal.kind === 'renewed' ? renewal.session.refreshToken : renewal.kind);
  /** A replica in the middle of its question; its lease has run out, as if it had been stopped for too long, unless it keeps it. */
  const stall = async (replica: Replica, token: string, { keepsLease = false } = {}) => {
    const { promise, resolve } = Promise.withResolvers<Renewal>();
    const asked = Promise.withResolvers<void>();
    const answer = replica.coordination.once(form(token), () => {
      asked.resolve();
      return promise;
    });
    await asked.promise;
    if (!keepsLease) await forget('lease');
    return { answer, resolve };
  };
  const forget = async (kind: 'lease' | 'renewed' | 'lineage') => {
    const keys: string[] = Object(await server.ask('KEYS', `test:${kind}:*`));
    await Promise.all(keys.map((key) => server.ask('DEL', key)));
  };

  it('to the newest refresh token is the end of the session, told once', async () => {
    assert.deepEqual(await ask(here, 'x', refused), refused);
    assert.deepEqual(await ask(there, 'x', renewed('never')), refused);
    assert.deepEqual(over, ['x']);
  });

  it('is so however often the session was renewed, and wherever', async () => {
    await ask(here, 'x', renewed('y'));
    await ask(there, 'y', renewed('z'));
    assert.deepEqual(await ask(here, 'z', refused), refused);
    assert.deepEqual(over, ['z']);
  });

  it('to an older refresh token is the end of nothing, also when nobody remembers what became of it', async () => {
    await ask(here, 'x', renewed('y'));
    await forget('renewed');
    assert.deepEqual(await ask(there, 'x', refused), refused);
    assert.deepEqual(over, []);
    assert.equal(tokenIn(await ask(there, 'y', renewed('z'))), 'z');
  });

  it('to a session that Redis has forgotten is the end of nothing: it may be an older form', async () => {
    await server.ask('FLUSHALL');
    assert.deepEqual(await ask(there, 'x', refused), refused);
    assert.deepEqual(over, []);
  });

  it('that comes late, from one who lost its lease, takes nothing from the renewal that came before it', async () => {
    const late = await stall(here, 'x');
    assert.equal(tokenIn(await ask(there, 'x', renewed('y'))), 'y');
    late.resolve(refused);
    assert.equal(tokenIn(await late.answer), 'y', 'and whoever waits for it hears of the renewal');
    assert.equal(tokenIn(await ask(await join(), 'x', renewed('never'))), 'y');
    assert.deepEqual(over, []);
  });

  it('to one who has taken over is the end of nothing: the one before may have been told yes', async () => {
    const late = await stall(here, 'x');
    assert.deepEqual(await ask(there, 'x', refused), refused);
    assert.deepEqual(over, []);
    late.resolve(renewed('y'));
    assert.equal(tokenIn(await late.answer), 'y');
    assert.equal(tokenIn(await ask(await join(), 'x', renewed('never'))), 'y', 'which counts from then on');
    await ask(there, 'y', refused);
    assert.deepEqual(over, ['y']);
  });

  it('from one who lost its lease waits for what the other hears', async () => {
    const late = await stall(here, 'x');
    const other = await stall(there, 'x', { keepsLease: true });
    late.resolve(refused);
    // Shared now, and not in the place of what is to come.
    const lookedAt = performance.now();
    while (performance.now() - lookedAt < 100) assert.deepEqual(await server.ask('KEYS', 'test:renewed:*'), []);
    other.resolve(renewed('y'));
    assert.deepEqual((await Promise.all([late.answer, other.answer])).map(tokenIn), ['y', 'y']);
    assert.deepEqual(over, []);
  });

  it('is the end of nothing where two renewals came of one refresh token', async () => {
    await ask(here, 'x', renewed('y'));
    await forget('renewed');
    await ask(there, 'x', renewed('z'));
    await ask(here, 'y', refused);
    await ask(there, 'z', refused);
    assert.deepEqual(over, []);
  });

  it('counts after a renewal that brought no other refresh token, too', async () => {
    assert.equal(tokenIn(await ask(here, 'x', renewed('x', 1000))), 'x');
    const next = form('x', 1000);
    assert.deepEqual(await there.coordination.once(next, async () => refused), refused);
    assert.deepEqual(over, ['x']);
    assert.deepEqual(await here.coordination.once(next, async () => renewed('never')), refused);
  });

  it('that could not be told while Redis was away is told afterwards', async () => {
    const { answer, resolve } = await stall(here, 'x', { keepsLease: true });
    server.freeze();
    resolve(refused);
    assert.deepEqual(await answer, refused);
    assert.deepEqual(over, []);
    server.thaw();
    while (over.length === 0) await new Promise(setImmediate);
    assert.deepEqual(over, ['x']);
  });

  it('leaves what is remembered of a session for as long as the session can live, and no longer', async () => {
    await ask(here, 'x', renewed('y', HOUR));
    const [key = ''] = Object(await server.ask('KEYS', 'test:lineage:*'));
    const leftMs = Number(await server.ask('PTTL', key));
    assert.ok(leftMs > 8.9 * HOUR && leftMs <= 9 * HOUR + 1000, `${leftMs}`);
    assert.ok(!key.includes(session().id));
  });
});
