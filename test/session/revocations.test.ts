import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { marksOf } from '../../src/session/marks.ts';
import { createRevocations, type Revocation, speaksOf } from '../../src/session/revocations.ts';
import { createTestClock, HOUR, revocationOf, session, T0 } from './fixtures.ts';

const MINUTE = 60_000;
const marks = (id: string) => marksOf(session({ id }));

describe('revocations', () => {
  const setUp = (max = 3) => {
    const clock = createTestClock();
    const instead: Revocation[] = [];
    const list = createRevocations({ now: clock.now, max, maxOfPerson: 4, onFull: (one) => instead.push(one) });
    return { clock, instead, list, isRevoked: (id: string) => list.isRevoked(marks(id)) };
  };

  it('refuse a session from the moment it is revoked until it would have ended anyway', async () => {
    const { clock, list, isRevoked } = setUp();
    assert.equal(isRevoked('a'), false);
    await list.revoke(revocationOf('a', T0 + HOUR));
    assert.equal(isRevoked('a'), true);
    assert.equal(isRevoked('b'), false);
    clock.set(T0 + HOUR);
    assert.equal(isRevoked('a'), true);
    clock.set(T0 + HOUR + 1);
    assert.equal(isRevoked('a'), false);
  });

  it('are in force before the promise is kept', () => {
    const { list, isRevoked } = setUp();
    void list.revoke(revocationOf('a', T0 + HOUR));
    assert.equal(isRevoked('a'), true);
  });

  it('are not shortened by being revoked again', async () => {
    const { clock, list, isRevoked } = setUp();
    await list.revoke(revocationOf('a', T0 + HOUR));
    await list.revoke(revocationOf('a', T0 + 1));
    clock.set(T0 + HOUR - 1);
    assert.equal(isRevoked('a'), true);
  });

  it('keep nothing of a session that is over already', async () => {
    const { list, isRevoked } = setUp();
    await list.revoke(revocationOf('a', T0));
    assert.equal(isRevoked('a'), false);
  });

  it('of a person without a sid speak of those of their sessions only that have none', async () => {
    const { list } = setUp();
    const { issuer, subject } = marks('a');
    await list.revoke({ of: { kind: 'person-without-sid', issuer, subject }, at: T0, until: T0 + HOUR });
    const of = (changes: object) => list.isRevoked({ ...marks('a'), ...changes });
    assert.deepEqual([of({}), of({ sid: 's' }), of({ startedAt: T0 + 1 })], [true, false, false]);
    assert.deepEqual([of({ subject: 'other' }), of({ issuer: 'other' })], [false, false]);
  });

  it('of a person say from when on a session of theirs is another', async () => {
    const { clock, list } = setUp();
    const { issuer, subject } = marks('a');
    assert.equal(list.freeFrom({ issuer, subject }), 0);
    await list.revoke({ of: { kind: 'person', issuer, subject }, at: T0 + 5, until: T0 + HOUR });
    await list.revoke({ of: { kind: 'person-without-sid', issuer, subject }, at: T0 + 9, until: T0 + HOUR });
    assert.equal(list.freeFrom({ issuer, subject }), T0 + 10);
    assert.equal(list.freeFrom({ issuer, subject: 'other' }), 0);
    assert.equal(list.isRevoked({ ...marks('a'), startedAt: list.freeFrom({ issuer, subject }) }), false);
    await list.revoke({ of: { kind: 'everybody' }, at: T0 + 20, until: T0 + HOUR });
    assert.equal(list.freeFrom({ issuer, subject: 'other' }), T0 + 21);
    clock.set(T0 + HOUR + 1);
    assert.equal(list.freeFrom({ issuer, subject }), 0);
  });

  it('make room where there are too many, and never bring one back: all sessions from before that sign-out are refused', async () => {
    const { clock, list, instead, isRevoked } = setUp(2);
    for (const [i, id] of ['a', 'b', 'c'].entries()) {
      clock.set(T0 + i * HOUR);
      await list.revoke(revocationOf(id, T0 + 10 * HOUR, clock.now()));
    }
    assert.deepEqual(instead, [{ of: { kind: 'everybody' }, at: T0 + MINUTE, until: T0 + 10 * HOUR }]);
    assert.deepEqual(['a', 'b', 'c'].map(isRevoked), [true, true, true]);
    const since = (startedAt: number) => list.isRevoked(marksOf(session({ id: 'other', startedAt })));
    assert.deepEqual([since(T0), since(T0 + MINUTE), since(T0 + MINUTE + 1)], [true, true, false]);
    clock.set(T0 + 10 * HOUR + 1);
    assert.equal(since(T0), false);
  });

  it('of one person make room for each other, and refuse nobody else for it', async () => {
    const { clock, list, instead } = setUp(100);
    const { issuer } = session();
    const of = (subject: string, id: string) => marksOf(session({ id, claims: { sub: subject } }));
    const signOut = (subject: string, id: string) => {
      const { handle } = of(subject, id);
      return list.revoke({ of: { kind: 'session', handle, issuer, subject }, at: clock.now(), until: T0 + 50 * HOUR });
    };
    const ids = ['1', '2', '3', '4', '5'];
    await signOut('victim', 'v');
    for (const [i, id] of ids.entries()) {
      clock.set(T0 + (i + 1) * HOUR);
      await signOut('busy', id);
    }
    assert.deepEqual(instead, [
      { of: { kind: 'person', issuer, subject: 'busy' }, at: T0 + 2 * HOUR + MINUTE, until: T0 + 50 * HOUR },
    ]);
    assert.deepEqual(
      ids.map((id) => list.isRevoked(of('busy', id))),
      [true, true, true, true, true],
    );
    assert.equal(list.isRevoked(of('victim', 'v')), true);
    assert.equal(list.isRevoked(of('victim', 'another')), false);
    const later = marksOf(session({ id: 'new', claims: { sub: 'busy' }, startedAt: T0 + 3 * HOUR }));
    assert.equal(list.isRevoked(later), false);
  });

  it('of one person that are over make room first', async () => {
    const { clock, list, instead } = setUp(100);
    const { issuer } = session();
    const signOut = (id: string) => {
      const { handle } = marks(id);
      return list.revoke({
        of: { kind: 'session', handle, issuer, subject: 'busy' },
        at: clock.now(),
        until: clock.now() + HOUR,
      });
    };
    for (let i = 0; i < 12; i += 1) {
      clock.set(T0 + i * HOUR);
      await signOut(String(i));
    }
    assert.deepEqual(instead, []);
  });

  it('sweep out what is over before one alive has to go', async () => {
    const { clock, list, instead, isRevoked } = setUp(2);
    await list.revoke(revocationOf('long', T0 + 10 * HOUR));
    await list.revoke(revocationOf('short', T0 + HOUR));
    clock.set(T0 + 2 * HOUR);
    await list.revoke(revocationOf('new', T0 + 3 * HOUR));
    assert.deepEqual([instead, isRevoked('long'), isRevoked('new')], [[], true, true]);
  });

  it('of a session at the provider refuse all that came of it, and no other issuer\u2019s', async () => {
    const { list } = setUp();
    const { issuer } = session();
    await list.revoke({ of: { kind: 'provider-session', issuer, sid: 's-1' }, at: T0, until: T0 + HOUR });
    assert.equal(list.isRevoked(marksOf(session({ id: 'a', sid: 's-1' }))), true);
    assert.equal(list.isRevoked(marksOf(session({ id: 'b', sid: 's-1' }))), true);
    assert.equal(list.isRevoked(marksOf(session({ sid: 's-2' }))), false);
    assert.equal(list.isRevoked(marksOf(session())), false);
    assert.equal(list.isRevoked(marksOf(session({ sid: 's-1', issuer: 'https://other.example.com' }))), false);
  });

  it('of a person refuse the sessions that had begun, and let the next sign-in in', async () => {
    const { list } = setUp();
    const { issuer, claims } = session();
    const person = { kind: 'person', issuer, subject: claims.sub } as const;
    await list.revoke({ of: person, at: T0, until: T0 + HOUR });
    assert.equal(list.isRevoked(marksOf(session({ startedAt: T0 }))), true);
    assert.equal(list.isRevoked(marksOf(session({ startedAt: T0 + 1 }))), false);
    assert.equal(list.isRevoked(marksOf(session({ claims: { sub: 'somebody-else' } }))), false);
    await list.revoke({ of: person, at: T0 + 1, until: T0 + HOUR });
    assert.equal(list.isRevoked(marksOf(session({ startedAt: T0 + 1 }))), true);
  });

  it('are told to those who listen, once each, until they stop', async () => {
    const { list } = setUp();
    const told: Revocation[] = [];
    const stop = list.subscribe((one) => told.push(one));
    await list.revoke(revocationOf('a', T0 + HOUR));
    await list.revoke(revocationOf('a', T0 + HOUR));
    await list.revoke(revocationOf('over', T0));
    stop();
    await list.revoke(revocationOf('b', T0 + HOUR));
    assert.deepEqual(told, [revocationOf('a', T0 + HOUR)]);
    const [first] = told;
    assert.deepEqual([first && speaksOf(first, marks('a')), first && speaksOf(first, marks('b'))], [true, false]);
  });
});
