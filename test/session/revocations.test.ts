import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRevocations } from '../../src/session/revocations.ts';
import { createTestClock, HOUR, T0 } from './fixtures.ts';

describe('revocations', () => {
  const setUp = (max = 3) => {
    const clock = createTestClock();
    const evicted: string[] = [];
    return { clock, evicted, list: createRevocations({ now: clock.now, max, onEvict: (id) => evicted.push(id) }) };
  };

  it('refuse a session from the moment it is revoked until it would have ended anyway', () => {
    const { clock, list } = setUp();
    assert.equal(list.isRevoked('a'), false);
    list.revoke('a', T0 + HOUR);
    assert.equal(list.isRevoked('a'), true);
    assert.equal(list.isRevoked('b'), false);
    clock.set(T0 + HOUR);
    assert.equal(list.isRevoked('a'), true);
    clock.set(T0 + HOUR + 1);
    assert.equal(list.isRevoked('a'), false);
  });

  it('are not shortened by being revoked again', () => {
    const { clock, list } = setUp();
    list.revoke('a', T0 + HOUR);
    list.revoke('a', T0 + 1);
    clock.set(T0 + HOUR - 1);
    assert.equal(list.isRevoked('a'), true);
  });

  it('keep nothing of a session that is over already', () => {
    const { list } = setUp();
    list.revoke('a', T0);
    assert.equal(list.isRevoked('a'), false);
  });

  it('tell when one alive has to make room', () => {
    const { list, evicted } = setUp(2);
    for (const id of ['a', 'b', 'c']) list.revoke(id, T0 + HOUR);
    assert.deepEqual(evicted, ['a']);
    assert.equal(list.isRevoked('c'), true);
  });

  it('sweep out what is over before one alive has to go', () => {
    const { clock, list, evicted } = setUp(2);
    list.revoke('long', T0 + 10 * HOUR);
    list.revoke('short', T0 + HOUR);
    clock.set(T0 + 2 * HOUR);
    list.revoke('new', T0 + 3 * HOUR);
    assert.deepEqual([evicted, list.isRevoked('long'), list.isRevoked('new')], [[], true, true]);
  });
});
