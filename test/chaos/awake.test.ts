import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createAwakeClock } from './awake.ts';

describe('the clock by which chaos is judged', () => {
  const clock = createAwakeClock();
  after(clock.stop);

  it('stands still while this process is held up', () => {
    const before = { awake: clock.now(), real: Date.now() };
    while (Date.now() < before.real + 400);
    assert.ok(clock.now() - before.awake < 100);
    assert.ok(clock.heldUpMs() > 300);
  });

  it('goes on where it stood', async () => {
    const before = clock.now();
    for (let last = before; last < before + 50; ) {
      await new Promise(setImmediate);
      const now = clock.now();
      assert.ok(now >= last - 1, 'and never back, but for the rounding of a millisecond');
      last = now;
    }
  });
});
