import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withoutRepeats } from '../../src/forward/single-fields.ts';

describe('fields without repeats', () => {
  it('are the very same when nothing is said twice that may not be', () => {
    const flat = ['etag', '1', 'set-cookie', 'a', 'set-cookie', 'b', 'x', '1', 'x', '2'];
    assert.equal(withoutRepeats(flat), flat);
  });

  it('keep the first of a single field, and the order of all the others', () => {
    const flat = ['x', '1', 'etag', 'a', 'x', '2', 'etag', 'b', 'date', 'c', 'etag', 'd', 'x', '3'];
    assert.deepEqual(withoutRepeats(flat), ['x', '1', 'etag', 'a', 'x', '2', 'date', 'c', 'x', '3']);
  });
});
