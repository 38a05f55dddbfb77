import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import { createMemoryStore } from '../../src/session/memory-store.ts';
import { createSeal } from '../../src/session/seal.ts';
import { describeSessionStore } from '../contracts/session-store.contract.ts';
import { cookieKey, createTestClock, HOUR, session } from './fixtures.ts';

describeSessionStore('the cookie store', ({ seal }) => createCookieStore({ seal }));

describe('the cookie store', () => {
  const seal = createSeal([cookieKey(1)]);
  const store = createCookieStore({ seal });

  it('needs nothing of the process that made the cookie', async () => {
    const elsewhere = createCookieStore({ seal: createSeal([cookieKey(3), cookieKey(1)]) });
    assert.equal((await elsewhere.open(await store.create(session()))).kind, 'alive');
  });

  it('has room for a session as Keycloak makes them: 1,100 bytes of refresh token, 300 of claims', async () => {
    const cookie = await store.create(session({ refreshToken: 'x'.repeat(1100) }));
    assert.ok(cookie.length <= 2867, `${cookie.length}`);
  });

  it('refuses the first byte that does not fit in 2.8 KiB', async () => {
    const sizes: number[] = [];
    let size = 1200;
    for (; size < 2000; size++) {
      try {
        sizes.push((await store.create(session({ refreshToken: 'x'.repeat(size) }))).length);
      } catch {
        // Expected at some size; which one it was is asserted below.
        break;
      }
    }
    assert.ok(size < 2000 && Math.max(...sizes) <= 2867 && Math.max(...sizes) > 2860);
  });

  it('leaves out what a later version added', async () => {
    const cookie = await seal.seal('session', { ...session(), colour: 'blue' });
    assert.deepEqual(await store.open(cookie), { kind: 'alive', session: session() });
  });

  it('finds the cookie of the memory store unreadable', async () => {
    const memory = createMemoryStore({
      seal,
      now: createTestClock().now,
      max: 2,
      idleMs: HOUR,
      absoluteMs: 24 * HOUR,
      onEvict: () => {},
    });
    assert.equal((await store.open(await memory.create(session()))).kind, 'unreadable');
  });
});
