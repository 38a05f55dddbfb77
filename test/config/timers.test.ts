import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits } from '../../src/config/schema-limits.ts';
import { parseDuration } from '../../src/config/values.ts';

/** Node cuts a longer timer short, with a warning for each. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

describe('every duration of server.limits', () => {
  it('is one that a timer can run for', () => {
    for (const [name, row] of Object.entries(limits.fields)) {
      if (row.kind !== 'setting' || row.type !== 'duration') continue;
      const longest = parseDuration(row.bounds.split(' to ')[1] ?? '');
      assert.ok('value' in longest && longest.value <= LONGEST_TIMER_MS, `${name}: ${row.bounds}`);
    }
  });
});
