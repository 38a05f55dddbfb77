import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turnEnd } from 'node:timers/promises';
import { writeTogether } from '../../src/forward/write-together.ts';

describe('what is written together', () => {
  it('waits for the end of the turn, and goes out in the order in which it came, once', async () => {
    const written: string[] = [];
    for (const name of ['a', 'b', 'c']) writeTogether({ writeOut: () => written.push(name) });
    await Promise.resolve();
    assert.deepEqual(written, []);
    await turnEnd();
    assert.deepEqual(written, ['a', 'b', 'c']);
    await turnEnd();
    assert.equal(written.length, 3);
  });

  it('waits for fifteen others at most', async () => {
    const written: number[] = [];
    for (let i = 0; i < 40; i++) {
      writeTogether({ writeOut: () => written.push(i) });
      // The one that was handed in last has not said yet what it wants to write.
      assert.equal(written.length, Math.floor(i / 16) * 16);
    }
    await turnEnd();
    assert.deepEqual(
      written,
      Array.from({ length: 40 }, (_, i) => i),
    );
  });

  it('takes what is handed in meanwhile for the next time', async () => {
    const written: string[] = [];
    const again = { writeOut: () => written.push('again') };
    writeTogether({
      writeOut: () => {
        written.push('first');
        writeTogether(again);
      },
    });
    await turnEnd();
    assert.deepEqual(written, ['first']);
    await turnEnd();
    assert.deepEqual(written, ['first', 'again']);
  });
});
