import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDecisions, type DecisionNeeds } from '../../src/access/decisions.ts';
import { authenticated } from '../../src/access/policy.ts';
import type { Authentication, Provable } from '../../src/authenticate/authenticate.ts';
import type { Identity } from '../../src/authenticate/identity.ts';
import { Failure } from '../../src/failure.ts';
import { createRecordedLog } from '../authenticate/fixtures.ts';
import { createTestClock, HOUR, T0 } from '../session/fixtures.ts';
import { app, createCounts, person } from './fixtures.ts';

const cookie = (value: string) => ({ kind: 'session', cookie: value }) as const;
const bearer = (token: string) => ({ kind: 'bearer', token, header: 'flyte' }) as const;
const proven = (identity: Identity, until = T0 + HOUR): Authentication => ({ kind: 'proven', identity, until });

function setUp(
  answer: (credential: Provable) => Authentication | Promise<Authentication>,
  changes: Partial<DecisionNeeds> = {},
) {
  const clock = createTestClock();
  const asked: Provable[] = [];
  const revoked = new Set<string>();
  const { counts, metrics } = createCounts();
  const recorded = createRecordedLog();
  const decisions = createDecisions({
    authenticate: async (credential) => {
      asked.push(credential);
      return answer(credential);
    },
    revocations: { isRevoked: ({ handle }) => revoked.has(handle) },
    cache: { maxAgeMs: 60_000, maxEntries: 100, maxBytes: 1_000_000 },
    metrics,
    log: recorded.log,
    now: clock.now,
    ...changes,
  });
  const connection = {};
  const decide = async (credential: Parameters<typeof decisions.decide>[0]) =>
    decisions.decide(credential, authenticated, connection);
  return { decisions, decide, clock, asked, revoked, counts, lines: recorded.lines };
}

describe('a decision', () => {
  it('is to sign in when nothing came, without asking anybody', async () => {
    const { decide, asked, counts } = setUp(() => assert.fail());
    assert.deepEqual(await decide({ kind: 'none' }), {
      kind: 'sign-in',
      why: 'credential_missing',
      clearCookie: false,
    });
    assert.deepEqual([asked.length, counts], [0, { refused: 1 }]);
  });

  for (const [why, credential, said, clearCookie] of [
    ['credentials differ', { kind: 'refused', status: 401, why: 'credentials_differ' }, 'credentials_differ', false],
    ['the cookie came twice', { kind: 'refused', status: 401, why: 'session_unreadable' }, 'session_unreadable', true],
    ['a header came twice', { kind: 'refused', status: 400, why: 'header_repeated' }, 'credentials_differ', false],
  ] as const)
    it(`is a no when ${why}`, async () => {
      const decision = await setUp(() => assert.fail()).decide(credential);
      assert.deepEqual(decision, { kind: 'sign-in', why: said, clearCookie });
    });

  it('is made by proof once, then at once from memory', async () => {
    const { decisions, asked, counts } = setUp(() => proven(person()));
    const first = await decisions.decide(cookie('a'), authenticated, {});
    assert.deepEqual(first, { kind: 'allow', identity: person(), until: T0 + 60_000 });
    const second = decisions.decide(cookie('a'), authenticated, {});
    assert.equal(second, first, 'the very same, not a promise');
    assert.deepEqual([asked.length, counts], [1, { miss: 1, allowed: 2, hit: 1 }]);
  });

  it('is remembered for its own credential and rule only, also on one connection', async () => {
    const { decisions, asked } = setUp(() => proven(person()));
    const connection = {};
    // Three times, so that the connection knows the one before.
    for (const [credential, rule] of [
      [cookie('a'), authenticated],
      [cookie('b'), authenticated],
      [bearer('a'), authenticated],
      [cookie('a'), { name: 'other', bearerScope: 'all' }],
    ] as const)
      for (let time = 0; time < 3; time++) await decisions.decide(credential, rule, connection);
    assert.equal(asked.length, 4);
  });

  it('is forgotten at its age limit', async () => {
    const { decide, clock, asked } = setUp(() => proven(person()));
    await decide(cookie('a'));
    clock.set(T0 + 59_999);
    await decide(cookie('a'));
    assert.equal(asked.length, 1);
    clock.set(T0 + 60_000);
    await decide(cookie('a'));
    assert.equal(asked.length, 2);
  });

  it('never outlives the proof', async () => {
    const { decide, clock, asked } = setUp(() => proven(person(), T0 + 5000));
    const decision = await decide(cookie('a'));
    assert.equal(decision.kind === 'allow' && decision.until, T0 + 5000);
    clock.set(T0 + 5000);
    await decide(cookie('a'));
    assert.equal(asked.length, 2);
  });

  it('about a proof that is over already is not remembered', async () => {
    const { decide, asked } = setUp(() => proven(app(), T0 - 30_000));
    await decide(bearer('a'));
    await decide(bearer('a'));
    assert.equal(asked.length, 2);
  });

  it('denies a bearer that lacks the scope, and the log names what is missing', async () => {
    const { decide, lines, asked } = setUp(() => proven(app({ scopes: ['openid'] })));
    assert.deepEqual(await decide(bearer('a')), { kind: 'deny', why: 'scope_missing', missing: 'all' });
    await decide(bearer('a'));
    assert.equal(asked.length, 1, 'remembered as a no');
    const facts = {
      why: 'scope_missing',
      missing: 'all',
      issuer: 'https://id.example.com',
      rule: 'authenticated',
      clientId: 'service',
      scopes: ['openid'],
    };
    assert.deepEqual(lines, [{ level: 'info', event: 'decision.denied', facts }]);
  });

  for (const why of ['session_unreadable', 'session_expired', 'session_revoked'] as const)
    it(`tells the browser to forget a cookie that is ${why}`, async () => {
      const { decide } = setUp(() => ({ kind: 'rejected', why }));
      assert.deepEqual(await decide(cookie('a')), { kind: 'sign-in', why, clearCookie: true });
    });

  it('leaves the cookie alone when a bearer is no good', async () => {
    const { decide } = setUp(() => ({ kind: 'rejected', why: 'token_expired' }));
    assert.deepEqual(await decide(bearer('a')), { kind: 'sign-in', why: 'token_expired', clearCookie: false });
  });
});

describe('a sign-out', () => {
  it('wins over a remembered allow from that moment on', async () => {
    const { decide, revoked } = setUp(() => proven(person()));
    await decide(cookie('a'));
    revoked.add('session-1');
    assert.deepEqual(await decide(cookie('a')), { kind: 'sign-in', why: 'session_revoked', clearCookie: true });
  });

  it('wins over a proof that is under way', async () => {
    const { promise, resolve } = Promise.withResolvers<Authentication>();
    const { decide, revoked, asked } = setUp(() => promise);
    const both = [decide(cookie('a')), decide(cookie('a'))];
    revoked.add('session-1');
    resolve(proven(person()));
    for (const decision of await Promise.all(both)) assert.equal(decision.kind, 'sign-in');
    revoked.clear();
    await decide(cookie('a'));
    assert.equal(asked.length, 2, 'nothing of it was remembered');
  });

  it("does not touch another's session", async () => {
    const { decide, revoked } = setUp(() => proven(person()));
    revoked.add('session-2');
    await decide(cookie('a'));
    assert.equal((await decide(cookie('a'))).kind, 'allow');
  });
});

describe('sign-outs elsewhere that nobody can tell of, where that is to refuse sessions', () => {
  const setUpUntold = (identity: Identity) => {
    const cause = new Failure('store_unreachable', 'down');
    let isTold = true;
    const revocations = { isRevoked: () => false, cannotTell: () => (isTold ? undefined : cause) };
    const tell = (told: boolean) => {
      isTold = told;
    };
    return { ...setUp(() => proven(identity), { revocations }), tell, cause };
  };

  it('make remembered and new allows of sessions unavailable, until they are told again', async () => {
    const { decide, tell, asked, cause } = setUpUntold(person());
    await decide(cookie('a'));
    tell(false);
    for (const value of ['a', 'b']) assert.deepEqual(await decide(cookie(value)), { kind: 'unavailable', cause });
    tell(true);
    for (const value of ['a', 'b']) assert.equal((await decide(cookie(value))).kind, 'allow');
    assert.equal(asked.length, 2);
  });

  it('do not touch bearer tokens', async () => {
    const { decide, tell } = setUpUntold(app());
    tell(false);
    for (let n = 0; n < 2; n++) assert.equal((await decide(bearer('a'))).kind, 'allow');
  });
});

describe('a look-up', () => {
  it('is shared by all who come with the credential meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<Authentication>();
    const { decide, asked, counts } = setUp(() => promise);
    const all = Array.from({ length: 1000 }, () => decide(cookie('a')));
    resolve(proven(person()));
    for (const decision of await Promise.all(all)) assert.equal(decision.kind, 'allow');
    assert.deepEqual([asked.length, counts], [1, { miss: 1, hit: 999, allowed: 1000 }]);
  });

  it('is made anew when the last one could not tell', async () => {
    let isDown = true;
    const cause = new Failure('keys_unreachable', 'down');
    const { decide, asked, counts } = setUp(() => (isDown ? { kind: 'unavailable', cause } : proven(app())));
    assert.deepEqual(await decide(bearer('a')), { kind: 'unavailable', cause });
    isDown = false;
    assert.equal((await decide(bearer('a'))).kind, 'allow');
    assert.deepEqual([asked.length, counts], [2, { miss: 2, unavailable: 1, allowed: 1 }]);
  });

  it('that fails in a way nobody thought of could not tell, and is not remembered', async () => {
    const { decide, asked } = setUp(() => Promise.reject(new Error('surprise')));
    for (const times of [1, 2]) {
      const decision = await decide(cookie('a'));
      assert.equal(decision.kind === 'unavailable' && decision.cause.code, 'internal');
      assert.equal(asked.length, times);
    }
  });

  it('that throws a failure of ours keeps its code', async () => {
    const { decide } = setUp(() => Promise.reject(new Failure('store_unreachable', 'down')));
    const decision = await decide(cookie('a'));
    assert.equal(decision.kind === 'unavailable' && decision.cause.code, 'store_unreachable');
  });
});

describe('a no', () => {
  it('is remembered for ten seconds', async () => {
    const { decide, clock, asked } = setUp(() => ({ kind: 'rejected', why: 'token_untrusted' }));
    await decide(bearer('a'));
    clock.set(T0 + 9999);
    await decide(bearer('a'));
    assert.equal(asked.length, 1);
    clock.set(T0 + 10_000);
    await decide(bearer('a'));
    assert.equal(asked.length, 2);
  });

  it('that the next moment may overturn is not remembered', async () => {
    const { decide, asked } = setUp(() => ({ kind: 'rejected', why: 'token_untrusted', passing: true }));
    await decide(bearer('a'));
    await decide(bearer('a'));
    assert.equal(asked.length, 2);
  });

  it('never evicts a yes, however much garbage comes', async () => {
    const { decide, asked } = setUp((credential) =>
      credential.kind === 'session' ? proven(person()) : { kind: 'rejected', why: 'token_malformed' },
    );
    await decide(cookie('a'));
    for (let i = 0; i < 3000; i++) await decide(bearer(`garbage-${i}`));
    await decide(cookie('a'));
    assert.equal(asked.length, 3001);
    await decide(bearer('garbage-0'));
    assert.equal(asked.length, 3002, 'and the noes are bounded');
  });
});

describe('the memory of decisions', () => {
  const subjects = (credential: Provable) =>
    proven(person({ subject: credential.kind === 'session' ? credential.cookie : '' }));

  it('is bounded by number, the one unused for longest going first', async () => {
    const cache = { maxAgeMs: 60_000, maxEntries: 2, maxBytes: 1_000_000 };
    const { decide, asked } = setUp(subjects, { cache });
    for (const one of ['a', 'b', 'a', 'c', 'a']) await decide(cookie(one));
    assert.equal(asked.length, 3);
    await decide(cookie('b'));
    assert.equal(asked.length, 4);
  });

  it('is bounded by bytes', async () => {
    const cache = { maxAgeMs: 60_000, maxEntries: 1000, maxBytes: 14_000 };
    const { decide, asked } = setUp(() => proven(person({ groups: ['g'.repeat(5000)] })), { cache });
    for (const one of ['a', 'b', 'c', 'a']) await decide(cookie(one));
    assert.equal(asked.length, 4, 'two of six thousand bytes fit');
    await decide(cookie('c'));
    assert.equal(asked.length, 4);
  });

  it('is bounded by bytes with what is kept beside identities elsewhere', async () => {
    const cache = { maxAgeMs: 60_000, maxEntries: 1000, maxBytes: 23_000 };
    const { decide, decisions, asked } = setUp(subjects, { cache });
    const grow = async (one: string, bytes: number) => {
      const decision = await decide(cookie(one));
      assert.equal(decision.kind, 'allow');
      if (decision.kind === 'allow') decisions.grow(decision.identity, bytes);
    };
    for (const one of ['a', 'b', 'c']) await grow(one, 6000);
    for (const one of ['a', 'b', 'c']) await decide(cookie(one));
    assert.equal(asked.length, 3, 'three of seven thousand bytes fit');
    await grow('c', 3000);
    await decide(cookie('b'));
    assert.equal(asked.length, 3);
    await decide(cookie('a'));
    assert.equal(asked.length, 4, 'one had to go, the one unused for longest');
    await grow('b', -4000);
    await grow('a', 4000);
    for (const one of ['a', 'b', 'c']) await decide(cookie(one));
    assert.equal(asked.length, 4, 'what is no longer kept makes room');
    decisions.grow(person(), 100_000);
    await decide(cookie('a'));
    assert.equal(asked.length, 4, 'an identity that is not remembered takes none');
  });

  it('counts characters by their bytes', async () => {
    const cache = { maxAgeMs: 60_000, maxEntries: 1000, maxBytes: 15_000 };
    const { decide, asked } = setUp(() => proven(person({ groups: ['王'.repeat(3000)] })), { cache });
    for (const one of ['a', 'b', 'a']) await decide(cookie(one));
    assert.equal(asked.length, 3, 'ten thousand bytes fit once');
  });

  it('gives the new cookie to all who still carry the old one, for ten seconds', async () => {
    let renewals = 0;
    const { decide, clock, asked } = setUp(
      () => ({ ...proven(person()), renewedCookie: `new-${++renewals}` }) as Authentication,
    );
    await decide(cookie('old'));
    clock.set(T0 + 9999);
    const straggler = await decide(cookie('old'));
    assert.deepEqual([asked.length, straggler.kind === 'allow' && straggler.renewedCookie], [1, 'new-1']);
    clock.set(T0 + 10_000);
    const later = await decide(cookie('old'));
    assert.deepEqual([asked.length, later.kind === 'allow' && later.renewedCookie], [2, 'new-2']);
  });
});
