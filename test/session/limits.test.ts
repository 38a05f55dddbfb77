import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isDueForSeen, nextSeen, sessionEnd } from '../../src/session/limits.ts';
import { HOUR, session, T0 } from './fixtures.ts';

describe('the limits of a session', () => {
  const limits = { idleMs: HOUR, absoluteMs: 10 * HOUR };

  it('end it an idle limit after it was last seen', () => {
    assert.equal(sessionEnd(session({ seenAt: T0 + 3 * HOUR }), limits), T0 + 4 * HOUR);
  });

  it('end it at the absolute limit however busy it is', () => {
    assert.equal(sessionEnd(session({ seenAt: T0 + 9.5 * HOUR }), limits), T0 + 10 * HOUR);
  });

  it('move on when it was seen only after a tenth of the idle limit', () => {
    assert.equal(nextSeen(session(), HOUR), T0 + HOUR / 10);
    assert.equal(isDueForSeen(session(), HOUR, T0 + HOUR / 10 - 1), false);
    assert.equal(isDueForSeen(session(), HOUR, T0 + HOUR / 10), true);
  });
});
