import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import { createMemoryStore, type EvictedFor, MAX_SESSIONS_EACH } from '../../src/session/memory-store.ts';
import { createSeal } from '../../src/session/seal.ts';
import { describeSessionList } from '../contracts/session-list.contract.ts';
import { describeSessionStore } from '../contracts/session-store.contract.ts';
import { cookieKey, createTestClock, HOUR, MINUTE, session, T0 } from './fixtures.ts';

describeSessionStore('the memory store', ({ seal, now }) =>
  createMemoryStore({ seal, now, max: 10, idleMs: 8 * HOUR, absoluteMs: 24 * HOUR, onEvict: () => {} }),
);

describeSessionList('the memory store', ({ seal, now }) =>
  createMemoryStore({ seal, now, max: 1000, idleMs: 8 * HOUR, absoluteMs: 24 * HOUR, onEvict: () => {} }),
);

describe('the memory store', () => {
  const seal = createSeal([cookieKey(1)]);
  const setUp = (max = 3) => {
    const clock = createTestClock();
    const evicted: string[] = [];
    const why = new Set<EvictedFor>();
    const onEvict = (id: string, madeRoomFor: EvictedFor) => {
      evicted.push(id);
      why.add(madeRoomFor);
    };
    return {
      why,
      clock,
      evicted,
      store: createMemoryStore({ seal, now: clock.now, max, idleMs: HOUR, absoluteMs: 24 * HOUR, onEvict }),
    };
  };

  it('keeps everything but the id out of the cookie', async () => {
    const { store } = setUp();
    const cookie = await store.create(session({ refreshToken: 'x'.repeat(5000) }));
    assert.deepEqual(await seal.open('session', cookie), { sid: session().id });
  });

  it('does not open what it ended', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    await store.end(session().id);
    assert.deepEqual(await store.open(cookie), { kind: 'absent' });
  });

  it('does not bring a session back that ended while it was being changed', async () => {
    const { store } = setUp();
    const cookie = await store.create(session());
    await store.end(session().id);
    await store.update(session({ seenAt: T0 + MINUTE }));
    assert.deepEqual(await store.open(cookie), { kind: 'absent' });
  });

  it('lets a session fall out at the idle limit, counted from when it was last moved on', async () => {
    const { store, clock } = setUp();
    const cookie = await store.create(session());
    clock.advance(30 * MINUTE);
    await store.update(session({ seenAt: clock.now() }));
    clock.set(T0 + 90 * MINUTE - 1);
    assert.equal((await store.open(cookie)).kind, 'alive');
    clock.set(T0 + 90 * MINUTE + 1);
    assert.deepEqual(await store.open(cookie), { kind: 'absent' });
  });

  it('makes room by the one that was opened longest ago, and tells', async () => {
    const { store, evicted, why } = setUp(2);
    const [one, two] = [await store.create(session({ id: 'one' })), await store.create(session({ id: 'two' }))];
    await store.open(one);
    await store.create(session({ id: 'three' }));
    assert.equal((await store.open(one)).kind, 'alive');
    assert.deepEqual(await store.open(two), { kind: 'absent' });
    assert.deepEqual([evicted, [...why]], [['two'], ['everyone']]);
  });

  it('gives one person 64 sessions, of which the one that was opened longest ago makes room, and tells', async () => {
    const { store, evicted, why } = setUp(1000);
    const first = await store.create(session({ id: 'first' }));
    const second = await store.create(session({ id: 'second' }));
    await store.open(first);
    for (let n = 2; n < MAX_SESSIONS_EACH; n += 1) await store.create(session({ id: `s${n}` }));
    assert.deepEqual(evicted, []);
    await store.create(session({ id: 'one more' }));
    assert.deepEqual([evicted, [...why]], [['second'], ['same-person']]);
    assert.deepEqual(await store.open(second), { kind: 'absent' });
    assert.equal((await store.open(first)).kind, 'alive');
  });

  it('counts only the sessions that are there', async () => {
    const { store, clock, evicted } = setUp(1000);
    for (let n = 0; n < 3 * MAX_SESSIONS_EACH; n += 1) {
      await store.create(session({ id: `ended ${n}` }));
      await store.end(`ended ${n}`);
    }
    for (let n = 0; n < MAX_SESSIONS_EACH; n += 1) {
      await store.create(session({ id: `idle ${n}` }));
      await store.update(session({ id: `idle ${n}`, refreshToken: 'renewed' }));
    }
    clock.advance(HOUR + MINUTE);
    for (let n = 0; n < MAX_SESSIONS_EACH; n += 1)
      await store.create(session({ id: `alive ${n}`, seenAt: clock.now() }));
    assert.deepEqual(evicted, []);
    await store.create(session({ id: 'one more', seenAt: clock.now() }));
    assert.deepEqual(evicted, ['alive 0']);
  });

  it('tells nobody of an idle one that made room for the same person', async () => {
    const { store, clock, evicted } = setUp(1000);
    await store.create(session({ id: 'idle' }));
    clock.advance(HOUR - MINUTE);
    const seenAt = clock.now();
    for (let n = 1; n < MAX_SESSIONS_EACH; n += 1) await store.create(session({ id: `s${n}`, seenAt }));
    clock.advance(MINUTE);
    await store.create(session({ id: 'one more', seenAt: clock.now() }));
    assert.deepEqual(evicted, []);
  });

  it('sweeps idle sessions out before anyone alive has to go, and tells nobody', async () => {
    const { store, clock, evicted } = setUp(2);
    const early = await store.create(session({ id: 'alive' }));
    await store.create(session({ id: 'idle' }));
    clock.advance(50 * MINUTE);
    await store.update(session({ id: 'alive', seenAt: clock.now() }));
    await store.open(await seal.seal('session', { sid: 'idle' }));
    clock.advance(20 * MINUTE);
    await store.create(session({ id: 'new', seenAt: clock.now() }));
    assert.equal((await store.open(early)).kind, 'alive');
    assert.deepEqual(evicted, []);
  });

  it('finds the cookie of the cookie store unreadable', async () => {
    const cookie = await createCookieStore({ seal }).create(session());
    assert.equal((await setUp().store.open(cookie)).kind, 'unreadable');
  });
});
