import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryStore } from '../../src/session/memory-store.ts';
import { createSeal } from '../../src/session/seal.ts';
import { cookieKey, createTestClock, HOUR, session } from '../session/fixtures.ts';

describe('one person who signs in again and again, with sessions kept in memory,', () => {
  const max = 200;
  const setUp = () => {
    const evicted: string[] = [];
    const seal = createSeal([cookieKey(1)]);
    const onEvict = (id: string) => evicted.push(id);
    return {
      evicted,
      store: createMemoryStore({ seal, now: createTestClock().now, max, idleMs: HOUR, absoluteMs: 24 * HOUR, onEvict }),
    };
  };
  const of = (sub: string, id: string, issuer = 'https://id.example.com') => session({ id, issuer, claims: { sub } });

  it('pushes nobody else out', async () => {
    const { store, evicted } = setUp();
    const others = await Promise.all(
      Array.from({ length: max - 64 }, (_, n) => store.create(of(`person ${n}`, `other ${n}`))),
    );
    for (let n = 0; n < 5 * max; n += 1) await store.create(of('mallory', `flood ${n}`));
    for (const cookie of others) assert.equal((await store.open(cookie)).kind, 'alive');
    assert.equal(evicted.length, 5 * max - 64);
    assert.ok(evicted.every((id) => id.startsWith('flood')));
  });

  it('is one person per issuer: the same subject elsewhere is somebody else', async () => {
    const { store } = setUp();
    const namesake = await store.create(of('mallory', 'namesake', 'https://other.example.com'));
    const lookalike = await store.create(of('https://id.example.com","mallory', 'lookalike', ''));
    for (let n = 0; n < max; n += 1) await store.create(of('mallory', `flood ${n}`));
    for (const cookie of [namesake, lookalike]) assert.equal((await store.open(cookie)).kind, 'alive');
  });

  it('is left with the newest sessions, and with those in use', async () => {
    const { store } = setUp();
    const used = await store.create(of('mallory', 'used'));
    let last = used;
    for (let n = 0; n < max; n += 1) {
      last = await store.create(of('mallory', `flood ${n}`));
      assert.equal((await store.open(used)).kind, 'alive');
    }
    assert.equal((await store.open(last)).kind, 'alive');
  });
});
