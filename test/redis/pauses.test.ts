import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPauses } from '../../src/redis/pauses.ts';

describe('pauses between attempts to connect', () => {
  it('grow, and leave half of the second in which a sign-out has to be in force', () => {
    const pauses = createPauses();
    const taken = Array.from({ length: 100 }, () => pauses.next());
    assert.ok((taken[0] ?? 0) <= 50);
    assert.ok(Math.max(...taken) <= 500);
    assert.ok(Math.min(...taken.slice(10)) >= 250, 'and whoever knocks does not knock all the time');
  });

  it('begin anew after a connection that lasted', () => {
    const pauses = createPauses();
    for (let n = 0; n < 10; n += 1) pauses.next();
    pauses.reset();
    assert.ok(pauses.next() <= 50);
  });
});
