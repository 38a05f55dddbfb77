import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sessionTimes } from '../../src/oidc/session-times.ts';

const now = 1_790_000_000_000;

describe('when a session is renewed', () => {
  for (const [expiresIn, early] of [
    [3600, 60_000],
    [600, 60_000],
    [300, 30_000],
    [10, 1000],
    [0, 0],
  ] as const) {
    it(`is ${early} ms before the end of ${expiresIn} s`, () => {
      const accessExpiresAt = now + expiresIn * 1000;
      assert.deepEqual(sessionTimes({ expiresIn, refreshToken: 'r' }, now), {
        accessExpiresAt,
        renewAt: accessExpiresAt - early,
      });
    });
  }

  it('is never without a refresh token', () => {
    assert.deepEqual(sessionTimes({ expiresIn: 300 }, now), { accessExpiresAt: now + 300_000 });
  });

  it('goes by the ID token where the provider says no lifetime, and by five minutes where nobody does', () => {
    assert.equal(sessionTimes({ idTokenExp: now / 1000 + 900 }, now).accessExpiresAt, now + 900_000);
    assert.equal(sessionTimes({}, now).accessExpiresAt, now + 300_000);
  });

  it('is within thirty days whatever the provider promises', () => {
    assert.equal(sessionTimes({ expiresIn: 1e15 }, now).accessExpiresAt, now + 30 * 86_400_000);
    assert.equal(sessionTimes({ idTokenExp: 0 }, now).accessExpiresAt, now);
  });
});
