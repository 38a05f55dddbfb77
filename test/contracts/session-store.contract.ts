import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/config/units.ts';
import { Failure } from '../../src/failure.ts';
import { createSeal, type Seal } from '../../src/session/seal.ts';
import type { Session } from '../../src/session/session.ts';
import type { SessionStore } from '../../src/session/store.ts';
import { cookieKey, createTestClock, MINUTE, session, T0 } from '../session/fixtures.ts';

/**
 * What every session store promises, whatever it keeps sessions in.
 *
 * @param name what the store is called in the test report
 * @param make a store with room for at least two sessions and an idle limit of eight hours; several share what they keep
 * @param options.room bytes that a session may take at most
 */
export function describeSessionStore(
  name: string,
  make: (needs: { seal: Seal; now: Clock }) => SessionStore,
  { skip = false, room = 65_536 }: { skip?: string | false; room?: number } = {},
): void {
  const seal = createSeal([cookieKey(1)]);
  const fresh = () => make({ seal, now: createTestClock().now });

  describe(`${name} as a session store`, { skip }, () => {
    it('opens the session that it keeps, whole', async () => {
      const store = fresh();
      assert.deepEqual(await store.open(await store.create(session())), { kind: 'alive', session: session() });
    });

    it('opens a session with the least that one may have', async () => {
      const store = fresh();
      const least: Session = {
        id: 'least',
        issuer: 'https://id.example.com',
        claims: { sub: 'a' },
        startedAt: T0,
        seenAt: T0,
        accessExpiresAt: T0 + MINUTE,
      };
      assert.deepEqual(await store.open(await store.create(least)), { kind: 'alive', session: least });
    });

    it('gives out cookie values that need no quoting', async () => {
      assert.match(await fresh().create(session()), /^[\w.-]{1,2867}$/);
    });

    it('keeps what changed, under the cookie that it returns or else under the old one', async () => {
      const store = fresh();
      const old = await store.create(session());
      const changed = session({ refreshToken: 'refresh-token-2', seenAt: T0 + MINUTE });
      const renewed = (await store.update(changed)) ?? old;
      assert.deepEqual(await store.open(renewed), { kind: 'alive', session: changed });
    });

    it('tells sessions apart', async () => {
      const store = fresh();
      const first = await store.create(session({ id: 'one' }));
      const second = await store.create(session({ id: 'two' }));
      const opened = await Promise.all([store.open(first), store.open(second)]);
      assert.deepEqual(
        opened.map((one) => one.kind === 'alive' && one.session.id),
        ['one', 'two'],
      );
    });

    it('takes it calmly when a session ends that it does not have', async () => {
      await fresh().end('nobody');
    });

    for (const [what, sealed] of [
      ['another shape', { sid: 17, id: 17 }],
      ['nothing in it', {}],
      ['a claim of the wrong type', { ...session(), claims: { sub: ['a'] } }],
      ['a time that is no number', { ...session(), seenAt: 'now' }],
    ] as const)
      it(`finds a cookie of ours with ${what} unreadable`, async () => {
        assert.equal((await fresh().open(await seal.seal('session', sealed))).kind, 'unreadable');
      });

    for (const [what, cookie] of [
      ['empty', ''],
      ['a word', 'hello'],
      ['dots only', '....'],
      ['a million dots', '.'.repeat(1_000_000)],
      ['control bytes', '\u0000\u0001\u00ff'],
      ['JSON', '{"id":"c2Vzc2lvbi1udW1iZXItMQ"}'],
    ] as const)
      it(`finds a cookie that is ${what} unreadable`, async () => {
        assert.equal((await fresh().open(cookie)).kind, 'unreadable');
      });

    it('finds the session of another deployment unreadable', async () => {
      const other = make({ seal: createSeal([cookieKey(2)]), now: createTestClock().now });
      assert.equal((await fresh().open(await other.create(session()))).kind, 'unreadable');
    });

    it('finds a sealed value of another purpose unreadable', async () => {
      const store = fresh();
      const cookie = await seal.seal('login-cookie', { ...session(), sid: session().id });
      await store.create(session());
      assert.equal((await store.open(cookie)).kind, 'unreadable');
    });

    for (const [blamed, tooLarge] of [
      ['the claim groups', session({ claims: { sub: 'a', groups: Array(Math.ceil(room / 7)).fill('a-group') } })],
      ['the claim avatar', session({ claims: { sub: 'a', additional: { avatar: 'x'.repeat(room) } } })],
      ['the refresh token', session({ refreshToken: 'x'.repeat(room) })],
    ] as const)
      it(`says that ${blamed} is to blame when a session does not fit`, async () => {
        const store = fresh();
        await assert.rejects(store.create(tooLarge), (failure) => {
          assert.ok(failure instanceof Failure);
          assert.equal(failure.code, 'session_too_large');
          assert.match(failure.message, new RegExp(`; ${blamed} alone takes \\d+$`));
          assert.ok(!failure.message.includes('xxx'), 'no part of a token is in the message');
          return true;
        });
        await store.create(session());
        await assert.rejects(store.update({ ...tooLarge, id: session().id }), { code: 'session_too_large' });
      });
  });
}
