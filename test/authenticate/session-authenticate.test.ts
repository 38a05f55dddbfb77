import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Renewal } from '../../src/authenticate/authenticate.ts';
import { createAuthenticateSession, type SessionNeeds } from '../../src/authenticate/session-authenticate.ts';
import { Failure } from '../../src/failure.ts';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import { handleOf, marksOf } from '../../src/session/marks.ts';
import { createMemoryStore } from '../../src/session/memory-store.ts';
import { createRevocations } from '../../src/session/revocations.ts';
import { createSeal } from '../../src/session/seal.ts';
import type { Session } from '../../src/session/session.ts';
import {
  cookieKey,
  createTestClock,
  HOUR,
  MINUTE,
  revocationOf,
  session,
  sessionWithoutRefresh,
  T0,
} from '../session/fixtures.ts';
import { createRecordedLog } from './fixtures.ts';

const limits = { idleMs: 8 * HOUR, absoluteMs: 24 * HOUR };

function setUp(changes: Partial<SessionNeeds> = {}) {
  const clock = createTestClock();
  const revocations = createRevocations({ now: clock.now, max: 10, maxOfPerson: 10, onFull: () => undefined });
  const store = createCookieStore({ seal: createSeal([cookieKey(1)]) });
  const recorded = createRecordedLog();
  const needs: SessionNeeds = {
    store,
    revocations,
    renew: async () => assert.fail('nobody should renew'),
    limits,
    identity: { trustUnverifiedEmail: false, claims: [] },
    log: recorded.log,
    now: clock.now,
    ...changes,
  };
  const prove = createAuthenticateSession(needs);
  const proveSession = async (one: Session) => prove(await needs.store.create(one));
  return { clock, revocations, store: needs.store, lines: recorded.lines, prove, proveSession };
}

/** A renewal that makes tokens of one hour, and counts. */
function renewal(now: () => number) {
  const asked: Session[] = [];
  const renew = async (one: Session): Promise<Renewal> => {
    asked.push(one);
    const at = now();
    return {
      kind: 'renewed',
      session: { ...one, refreshToken: 'refresh-token-2', accessExpiresAt: at + HOUR, renewAt: at + 50 * MINUTE },
    };
  };
  return { renew, asked };
}

describe('a session', () => {
  it('proves who is asking', async () => {
    const said = await setUp().proveSession(session());
    assert.ok(said.kind === 'proven');
    assert.deepEqual([said.identity.subject, said.identity.session], ['user-1', marksOf(session())]);
    assert.equal(said.renewedCookie, undefined);
    assert.equal(said.identity.expiresAt, T0 + 8 * HOUR);
  });

  for (const [until, what, one] of [
    [48 * MINUTE, 'the next move of seenAt', session()],
    [20 * MINUTE, 'its renewal', session({ renewAt: T0 + 20 * MINUTE })],
    [10 * MINUTE, 'the end of its access token', session({ accessExpiresAt: T0 + 10 * MINUTE })],
    [10 * MINUTE, 'its end, without a refresh token', sessionWithoutRefresh({ accessExpiresAt: T0 + 10 * MINUTE })],
    [5 * MINUTE, 'its absolute end', session({ startedAt: T0 - 24 * HOUR + 5 * MINUTE })],
  ] as const)
    it(`is proved until ${what}, when that comes first`, async () => {
      const said = await setUp().proveSession(one);
      assert.equal(said.kind === 'proven' && said.until - T0, until);
    });

  for (const [token, expected] of [
    ['eyJ.a-b_c~d+e/f==', 'eyJ.a-b_c~d+e/f=='],
    ['a b', undefined],
    ['a\r\nX-User-Subject: root', undefined],
    ['王', undefined],
    ['a'.repeat(8193), undefined],
  ] as const)
    it(`hands its access token on only where it can stand in a header: ${JSON.stringify(token).slice(0, 30)}`, async () => {
      const { revocations, clock } = setUp();
      const seal = createSeal([cookieKey(1)]);
      const store = createMemoryStore({
        seal,
        now: clock.now,
        max: 10,
        idleMs: 8 * HOUR,
        absoluteMs: 24 * HOUR,
        onEvict: () => {},
      });
      const said = await setUp({ store, revocations }).proveSession(session({ accessToken: token }));
      assert.equal(said.kind === 'proven' && said.accessToken?.reveal(), expected);
    });

  it('is over at its idle limit', async () => {
    const { clock, prove, store } = setUp();
    const cookie = await store.create(session({ accessExpiresAt: T0 + 10 * HOUR, renewAt: T0 + 9 * HOUR }));
    clock.set(T0 + 8 * HOUR - 1);
    assert.equal((await prove(cookie)).kind, 'proven');
    clock.set(T0 + 8 * HOUR);
    assert.deepEqual(await prove(cookie), { kind: 'rejected', why: 'session_expired' });
  });

  it('is over at its absolute limit however busy', async () => {
    const { clock, proveSession } = setUp();
    clock.set(T0 + 24 * HOUR);
    const busy = session({ seenAt: clock.now(), accessExpiresAt: T0 + 30 * HOUR, renewAt: T0 + 29 * HOUR });
    assert.deepEqual(await proveSession(busy), { kind: 'rejected', why: 'session_expired' });
  });

  it('is over with its access token when it cannot be renewed', async () => {
    const { clock, proveSession } = setUp();
    clock.set(T0 + HOUR);
    assert.deepEqual(await proveSession(sessionWithoutRefresh()), { kind: 'rejected', why: 'session_expired' });
  });

  it('is refused from the moment it is signed out', async () => {
    const { revocations, proveSession } = setUp();
    revocations.revoke(revocationOf(session().id, T0 + HOUR));
    assert.deepEqual(await proveSession(session()), { kind: 'rejected', why: 'session_revoked' });
  });

  it('is not renewed once it was signed out or is over', async () => {
    const { clock, revocations, proveSession } = setUp();
    clock.set(T0 + 55 * MINUTE);
    revocations.revoke(revocationOf('out', T0 + HOUR));
    assert.equal((await proveSession(session({ id: 'out' }))).kind, 'rejected');
    assert.equal((await proveSession(session({ startedAt: T0 - 24 * HOUR }))).kind, 'rejected');
  });

  it('that a store does not have is over, and one that a store cannot look for is neither here nor there', async () => {
    const clock = createTestClock();
    const seal = createSeal([cookieKey(1)]);
    const memory = createMemoryStore({
      seal,
      now: clock.now,
      max: 2,
      idleMs: HOUR,
      absoluteMs: 24 * HOUR,
      onEvict: () => {},
    });
    const cookie = await memory.create(session());
    await memory.end(session().id);
    assert.deepEqual(await setUp({ store: memory }).prove(cookie), { kind: 'rejected', why: 'session_expired' });
    const cause = new Failure('store_unreachable', 'down');
    const down = { ...memory, open: async () => ({ kind: 'unreachable', cause }) as const };
    assert.deepEqual(await setUp({ store: down }).prove(cookie), { kind: 'unavailable', cause });
  });
});

describe('a session that is used', () => {
  it('gets a new cookie when a tenth of the idle limit passed, and not before', async () => {
    const { clock, store, prove } = setUp();
    const cookie = await store.create(session());
    clock.set(T0 + 48 * MINUTE - 1);
    const before = await prove(cookie);
    assert.equal(before.kind === 'proven' && before.renewedCookie, undefined);
    clock.set(T0 + 48 * MINUTE);
    const after = await prove(cookie);
    assert.ok(after.kind === 'proven' && after.renewedCookie !== undefined);
    const opened = await store.open(after.renewedCookie);
    assert.deepEqual(opened, { kind: 'alive', session: session({ seenAt: clock.now() }) });
    assert.equal(after.until, T0 + 50 * MINUTE, 'then comes the renewal');
  });

  it('needs no new cookie from a store that keeps it', async () => {
    const clock = createTestClock();
    const seal = createSeal([cookieKey(1)]);
    const store = createMemoryStore({
      seal,
      now: clock.now,
      max: 2,
      idleMs: 8 * HOUR,
      absoluteMs: 24 * HOUR,
      onEvict: () => {},
    });
    const { prove } = setUp({ store, now: clock.now });
    const cookie = await store.create(session());
    clock.set(T0 + 48 * MINUTE);
    const said = await prove(cookie);
    assert.equal(said.kind === 'proven' && said.renewedCookie, undefined);
    const opened = await store.open(cookie);
    assert.equal(opened.kind === 'alive' && opened.session.seenAt, clock.now());
  });

  it('goes on with the cookie it has when what changed cannot be kept', async () => {
    const clock = createTestClock();
    const cookies = createCookieStore({ seal: createSeal([cookieKey(1)]) });
    const store = { ...cookies, update: () => Promise.reject(new Failure('session_too_large', 'the refresh token')) };
    const { prove, lines } = setUp({ store, now: clock.now });
    const cookie = await store.create(session());
    clock.set(T0 + 48 * MINUTE);
    const said = await prove(cookie);
    assert.ok(said.kind === 'proven');
    assert.deepEqual(
      [said.renewedCookie, said.until, said.identity.expiresAt],
      [undefined, clock.now() + 5000, T0 + 8 * HOUR],
    );
    assert.deepEqual(
      lines.map(({ level, event, facts: { code } }) => [level, event, code]),
      [['warn', 'session.not_kept', 'session_too_large']],
    );
  });
});

describe('a session that is due for renewal', () => {
  it('is renewed, and its new cookie goes back', async () => {
    const clock = createTestClock();
    const { renew, asked } = renewal(clock.now);
    const { store, prove } = setUp({ now: clock.now, renew });
    const cookie = await store.create(session());
    clock.set(T0 + 50 * MINUTE);
    const said = await prove(cookie);
    assert.ok(said.kind === 'proven' && said.renewedCookie !== undefined);
    assert.equal(asked.length, 1);
    const opened = await store.open(said.renewedCookie);
    assert.ok(opened.kind === 'alive');
    assert.deepEqual(
      [opened.session.id, opened.session.refreshToken, opened.session.seenAt],
      [session().id, 'refresh-token-2', clock.now()],
    );
    assert.equal(said.until, clock.now() + 48 * MINUTE);
    const again = await prove(said.renewedCookie);
    assert.equal(again.kind === 'proven' && again.renewedCookie, undefined);
  });

  it('gives stragglers with the old cookie the same session', async () => {
    const clock = createTestClock();
    const { renew } = renewal(clock.now);
    const memo = new Map<string | undefined, Promise<Renewal>>();
    const once = (one: Session) => {
      const known = memo.get(one.refreshToken) ?? renew(one);
      memo.set(one.refreshToken, known);
      return known;
    };
    const { store, prove } = setUp({ now: clock.now, renew: once });
    const cookie = await store.create(session());
    clock.set(T0 + 50 * MINUTE);
    await prove(cookie);
    clock.advance(20 * MINUTE);
    const straggler = await prove(cookie);
    assert.ok(straggler.kind === 'proven' && straggler.renewedCookie !== undefined);
    const opened = await store.open(straggler.renewedCookie);
    assert.equal(opened.kind === 'alive' && opened.session.refreshToken, 'refresh-token-2');
    assert.equal(memo.size, 1);
  });

  it('follows a straggler through several renewals', async () => {
    const clock = createTestClock();
    const chain = [1, 2, 3].map((step) =>
      session({ refreshToken: `refresh-${step}`, renewAt: T0 + (50 + step) * MINUTE, accessExpiresAt: T0 + 2 * HOUR }),
    );
    const renew = async (one: Session): Promise<Renewal> => {
      const next = chain[chain.findIndex((link) => link.refreshToken === one.refreshToken) + 1];
      return next ? { kind: 'renewed', session: next } : { kind: 'refused' };
    };
    const { store, proveSession } = setUp({ now: clock.now, renew });
    clock.set(T0 + 52 * MINUTE);
    const said = await proveSession(session());
    assert.ok(said.kind === 'proven' && said.renewedCookie !== undefined);
    const opened = await store.open(said.renewedCookie);
    assert.equal(opened.kind === 'alive' && opened.session.refreshToken, 'refresh-3');
  });

  it('does not renew for ever when tokens are due as soon as they are made', async () => {
    const clock = createTestClock();
    let asked = 0;
    const renew = async (one: Session): Promise<Renewal> => {
      asked++;
      const at = clock.now();
      return {
        kind: 'renewed',
        session: { ...one, renewAt: at, accessExpiresAt: at + 1000, refreshToken: `r${asked}` },
      };
    };
    const { store, proveSession } = setUp({ now: clock.now, renew });
    clock.set(T0 + 50 * MINUTE);
    const said = await proveSession(session());
    assert.equal(asked, 4);
    assert.ok(said.kind === 'proven' && said.renewedCookie !== undefined, 'the last tokens are kept and still good');
    assert.equal(said.until, clock.now() + 1000);
    const opened = await store.open(said.renewedCookie);
    assert.equal(opened.kind === 'alive' && opened.session.refreshToken, 'r4');
  });

  it('is over when the provider refuses', async () => {
    const { clock, proveSession } = setUp({ renew: async () => ({ kind: 'refused' }) });
    clock.set(T0 + 50 * MINUTE);
    assert.deepEqual(await proveSession(session()), { kind: 'rejected', why: 'session_expired' });
  });

  it('outlasts an outage as long as its access token, tried again every five seconds', async () => {
    const cause = new Failure('renewal_failed', 'timeout');
    const { clock, proveSession } = setUp({ renew: async () => ({ kind: 'failed', cause }) });
    clock.set(T0 + 50 * MINUTE);
    const fresh = session({ seenAt: clock.now() });
    const said = await proveSession(fresh);
    assert.equal(said.kind === 'proven' && said.until, clock.now() + 5000);
    clock.set(T0 + HOUR - 1);
    assert.equal((await proveSession(fresh)).kind, 'proven');
    clock.set(T0 + HOUR);
    assert.deepEqual(await proveSession(fresh), { kind: 'unavailable', cause });
  });

  it('is refused when it was signed out while the provider was being asked', async () => {
    const clock = createTestClock();
    const { renew } = renewal(clock.now);
    const revoked: string[] = [];
    const { proveSession } = setUp({
      now: clock.now,
      revocations: { isRevoked: ({ handle }) => revoked.includes(handle) },
      renew: async (one) => {
        revoked.push(handleOf(one.id));
        return renew(one);
      },
    });
    clock.set(T0 + 50 * MINUTE);
    assert.deepEqual(await proveSession(session()), { kind: 'rejected', why: 'session_revoked' });
  });
});
