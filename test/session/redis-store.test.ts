import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Redis } from '../../src/redis/redis.ts';
import { handleOf } from '../../src/session/marks.ts';
import { MAX_SESSIONS_EACH } from '../../src/session/memory-store.ts';
import { createRedisStore, MAX_RECORD_BYTES } from '../../src/session/redis-store.ts';
import { createSeal } from '../../src/session/seal.ts';
import { describeSessionStore } from '../contracts/session-store.contract.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { createTestLog } from '../oidc/rig.ts';
import { cookieKey, createTestClock, HOUR, MINUTE, session, T0 } from './fixtures.ts';

const { skip } = redisProgram;
const limits = { idleMs: 8 * HOUR, absoluteMs: 24 * HOUR };
let server: RedisServer;
let redis: Redis;
if (skip === false) {
  before(async () => {
    server = await startRedis();
    redis = connectRedis(server, 'commands');
    await untilUp(redis);
  });
  after(async () => {
    redis.close();
    await server.stop();
  });
}

describeSessionStore(
  'the Redis store',
  ({ seal, now }) => createRedisStore({ redis, seal, limits, now, log: createTestLog().log }),
  { skip, room: MAX_RECORD_BYTES },
);

describe('the Redis store', { skip, timeout: 60_000 }, () => {
  const seal = createSeal([cookieKey(1)]);
  const setUp = () => {
    const clock = createTestClock();
    const { log, logged } = createTestLog();
    return { clock, logged, store: createRedisStore({ redis, seal, limits, now: clock.now, log }) };
  };
  const from = { userAgent: 'Firefox', address: '192.0.2.7' };
  const person = { issuer: session().issuer, subject: 'user-1' };
  const key = `test:s:${handleOf(session().id)}`;
  beforeEach(() => server.ask('FLUSHALL'));

  it('takes sessions of several tokens of 64 KiB, in a cookie of under 300 characters', async () => {
    const { store } = setUp();
    const large = session({ refreshToken: 'r'.repeat(65_536), accessToken: 'a'.repeat(65_536) });
    const cookie = await store.create(large);
    assert.ok(cookie.length < 300);
    assert.deepEqual(await store.open(cookie), { kind: 'alive', session: large });
  });

  it('keeps nothing in Redis that says who, where from, or by which token', async () => {
    const { store } = setUp();
    await store.create(session({ refreshToken: 'the-refresh-token' }), from);
    const kept: unknown[] = [await server.ask('KEYS', '*')];
    kept.push(await server.ask('HGETALL', key));
    const text = JSON.stringify(kept);
    for (const word of ['user-1', 'ming', 'id.example.com', 'Firefox', '192.0.2.7', 'the-refresh-token', session().id])
      assert.ok(!text.includes(word), word);
  });

  it('is opened by nobody who has the database and the keys, but no cookie', async () => {
    const { store, logged } = setUp();
    await store.create(session());
    const other = await store.create(session({ id: 'another' }));
    // The thief is signed in as somebody, and puts the victim's record in place of their own.
    await server.ask('COPY', key, `test:s:${handleOf('another')}`, 'REPLACE');
    assert.equal((await store.open(other)).kind, 'unreadable');
    assert.deepEqual(
      logged.map(({ event }) => event),
      ['session.unreadable'],
    );
  });

  it('lives as long as the session’s own limits, and no longer', async () => {
    const { store, clock } = setUp();
    await store.create(session());
    assert.ok(Math.abs(Number(await server.ask('PTTL', key)) - 8 * HOUR) < MINUTE);
    clock.advance(7 * HOUR);
    await store.update(session({ seenAt: clock.now() }));
    assert.ok(Math.abs(Number(await server.ask('PTTL', key)) - 8 * HOUR) < MINUTE);
    clock.advance(16.5 * HOUR);
    await store.update(session({ seenAt: clock.now() }));
    await store.create(session({ id: 'late', startedAt: T0, seenAt: clock.now() }));
    const late = Number(await server.ask('PTTL', `test:s:${handleOf('late')}`));
    assert.ok(Math.abs(late - HOUR / 2) < MINUTE);
  });

  it('does not open what it ended, nor bring it back', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    await store.end(session().id);
    await store.update(session({ seenAt: T0 + MINUTE }));
    assert.deepEqual(await store.open(cookie), { kind: 'absent' });
    assert.deepEqual(await server.ask('KEYS', 'test:*'), []);
  });

  it('keeps what was renewed when somebody still had an older form', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    const second = session({ refreshToken: 'two', accessExpiresAt: T0 + HOUR / 2 });
    const third = session({ refreshToken: 'three' });
    await store.update(second);
    await store.update(third);
    for (const old of [session({ seenAt: T0 + MINUTE }), second]) await store.update(old);
    assert.deepEqual(await store.open(cookie), { kind: 'alive', session: third });
    const longer = session({ refreshToken: 'three', accessExpiresAt: T0 + 2 * HOUR });
    await store.update(longer);
    await store.update(third);
    assert.deepEqual(await store.open(cookie), { kind: 'alive', session: longer });
  });

  it('lists a person’s sessions, and everybody’s by pages', async () => {
    const { store } = setUp();
    await store.create(session({ id: 'one', sid: 'at-the-provider' }), from);
    await store.create(session({ id: 'two' }), from);
    await store.create(session({ id: 'other', claims: { sub: 'somebody' } }), from);
    await store.update(session({ id: 'one', seenAt: T0 + MINUTE }));
    await store.end('two');
    const marks = { handle: handleOf('one'), issuer: session().issuer, subject: 'user-1', startedAt: T0 };
    const one = { ...marks, sid: 'at-the-provider', ...from, seenAt: T0 + MINUTE, endsAt: T0 + 24 * HOUR };
    assert.deepEqual(await store.list?.ofPerson(person), [one]);
    assert.deepEqual(await store.list?.ofPerson({ ...person, subject: 'nobody' }), []);
    const handles: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list?.page(cursor);
      handles.push(...(page?.sessions.map(({ handle }) => handle) ?? []));
      cursor = page?.cursor;
    } while (cursor !== undefined);
    assert.deepEqual(handles.sort(), [handleOf('one'), handleOf('other')].sort());
  });

  it('gives one person 64 sessions, of which the one that would end first makes room', async () => {
    const { store, logged } = setUp();
    for (let n = 0; n < MAX_SESSIONS_EACH; n++) await store.create(session({ id: `s${n}`, seenAt: T0 + n }));
    await store.end('s5');
    await store.create(session({ id: 'in its place', seenAt: T0 + MINUTE }));
    assert.deepEqual(logged, []);
    await store.create(session({ id: 'one more', seenAt: T0 + MINUTE }));
    assert.equal(logged.length, 1);
    const handles = (await store.list?.ofPerson(person))?.map(({ handle }) => handle) ?? [];
    assert.equal(handles.length, MAX_SESSIONS_EACH);
    assert.ok(!handles.includes(handleOf('s0')));
    assert.deepEqual(await store.open(await seal.seal('session', { k: 's0' })), { kind: 'absent' });
  });

  it('tells an outage from a session that is not there, and deletes nothing for it', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    server.freeze();
    const opened = await store.open(cookie);
    assert.equal(opened.kind === 'unreachable' && opened.cause.code, 'store_unreachable');
    const acts = [
      () => store.create(session()),
      () => store.update(session()),
      () => store.end(session().id),
      () => store.list?.page(),
    ];
    for (const act of acts) await assert.rejects(async () => act(), { code: 'store_unreachable' });
    server.thaw();
    await untilUp(redis);
    assert.equal((await store.open(cookie)).kind, 'alive');
    await server.ask('FLUSHALL');
    assert.equal((await store.open(cookie)).kind, 'absent');
  });

  it('takes no session that Redis has no room for, and goes on with those that it has', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    await server.ask('CONFIG', 'SET', 'maxmemory', '1');
    await assert.rejects(store.create(session({ id: 'new' })), { code: 'store_unreachable' });
    await store.update(session({ refreshToken: 'renewed' }));
    assert.deepEqual(await store.open(cookie), { kind: 'alive', session: session({ refreshToken: 'renewed' }) });
    await server.ask('CONFIG', 'SET', 'maxmemory', '0');
  });
});
