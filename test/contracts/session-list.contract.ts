import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../../src/config/units.ts';
import { handleOf } from '../../src/session/marks.ts';
import { createSeal, type Seal } from '../../src/session/seal.ts';
import type { ListedSession, SessionList } from '../../src/session/session-list.ts';
import type { SessionStore } from '../../src/session/store.ts';
import { cookieKey, createTestClock, HOUR, MINUTE, session, T0 } from '../session/fixtures.ts';

const LAPTOP = { userAgent: 'Mozilla/5.0 <laptop>', address: '192.0.2.1' };
const PHONE = { userAgent: 'Mozilla/5.0 (phone)', address: '2001:db8::1' };

/**
 * What every store that lists its sessions promises.
 *
 * @param make a store with room for a thousand sessions, an idle limit of eight hours and an absolute one of a day
 */
export function describeSessionList(name: string, make: (needs: { seal: Seal; now: Clock }) => SessionStore): void {
  const stage = () => {
    const clock = createTestClock();
    const store = make({ seal: createSeal([cookieKey(1)]), now: clock.now });
    const { list } = store;
    if (!list) throw new Error(`${name} lists nothing`);
    return { clock, store, list };
  };
  const person = { issuer: session().issuer, subject: 'user-1' };

  describe(`${name} as a list of sessions`, () => {
    it('shows a person’s sessions with where they were begun, and nothing that opens them', async () => {
      const { store, list } = stage();
      await store.create(session({ id: 'one', sid: 'there' }), LAPTOP);
      await store.create(session({ id: 'two' }), PHONE);
      const shown = (await list.ofPerson(person)).toSorted((a, b) => a.address.localeCompare(b.address));
      assert.deepEqual(
        shown.map(({ handle, userAgent, address }) => ({ handle, userAgent, address })),
        [
          { handle: handleOf('one'), ...LAPTOP },
          { handle: handleOf('two'), ...PHONE },
        ],
      );
      const [{ issuer, subject, startedAt, seenAt, endsAt } = assert.fail()] = shown;
      assert.deepEqual({ issuer, subject }, person);
      assert.deepEqual([startedAt, seenAt, endsAt], [T0, T0, T0 + 24 * HOUR]);
      for (const secret of ['refresh-token', '"one"', '"two"', 'ming@example.com'])
        assert.ok(!JSON.stringify(shown).includes(secret), secret);
    });

    it('leaves out other people, those of other issuers too, and what has ended', async () => {
      const { store, list } = stage();
      await store.create(session({ id: 'mine' }));
      await store.create(session({ id: 'ended' }));
      await store.create(session({ id: 'theirs', claims: { sub: 'user-2' } }));
      await store.create(session({ id: 'elsewhere', issuer: 'https://other.example.com' }));
      await store.end('ended');
      assert.deepEqual(handles(await list.ofPerson(person)), [handleOf('mine')]);
      assert.deepEqual(await list.ofPerson({ ...person, subject: 'nobody' }), []);
    });

    it('tells when a session was last seen, and leaves it out past its idle limit', async () => {
      const { store, list, clock } = stage();
      await store.create(session({ id: 'used' }), LAPTOP);
      await store.create(session({ id: 'idle' }), LAPTOP);
      clock.advance(HOUR);
      await store.update(session({ id: 'used', seenAt: clock.now() }));
      const used = (await list.ofPerson(person)).find(({ handle }) => handle === handleOf('used'));
      assert.equal(used?.seenAt, T0 + HOUR);
      assert.equal(used?.address, LAPTOP.address, 'still where it was begun');
      clock.advance(7 * HOUR + MINUTE);
      assert.deepEqual(handles(await list.ofPerson(person)), [handleOf('used')]);
      assert.deepEqual(handles((await list.page()).sessions), [handleOf('used')]);
    });

    it('shows everybody’s, page by page, each once', async () => {
      const { store, list } = stage();
      const ids = Array.from({ length: 450 }, (_, n) => `s${n}`);
      for (const id of ids) await store.create(session({ id, claims: { sub: id } }), LAPTOP);
      const shown = await all(list);
      assert.deepEqual(handles(shown), ids.map(handleOf).sort());
    });

    it('goes on from page to page while sessions come, are used and end', async () => {
      const { store, list } = stage();
      for (let n = 0; n < 450; n += 1) await store.create(session({ id: `s${n}`, claims: { sub: `p${n}` } }));
      const first = await list.page();
      for (const { handle } of first.sessions.slice(0, 1)) assert.ok(handle);
      for (let n = 0; n < 450; n += 2) await store.end(`s${n}`);
      for (let n = 1; n < 450; n += 2) await store.update(session({ id: `s${n}`, claims: { sub: `p${n}` } }));
      const rest = await all(list, first.cursor);
      const together = new Set(handles([...first.sessions, ...rest]));
      for (let n = 1; n < 450; n += 2) assert.ok(together.has(handleOf(`s${n}`)), `s${n}`);
      assert.equal(together.size, first.sessions.length + rest.length, 'none twice');
    });

    it('takes a cursor that is none of its own calmly', async () => {
      const { store, list } = stage();
      await store.create(session());
      for (const cursor of ['', 'x', '-1', '1e309', 'NaN', '{"a":1}', '\u0000'])
        assert.ok((await list.page(cursor)).sessions.length <= 1);
    });
  });
}

async function all(list: SessionList, from?: string): Promise<readonly ListedSession[]> {
  const shown: ListedSession[] = [];
  let cursor = from;
  do {
    const page = await list.page(cursor);
    shown.push(...page.sessions);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return shown;
}

function handles(sessions: readonly ListedSession[]): readonly string[] {
  return sessions.map(({ handle }) => handle).sort();
}
