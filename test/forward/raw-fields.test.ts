import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { textOf } from '../../src/forward/raw-fields.ts';

const read = Buffer.from('HTTP/1.1 200 OK\r\nX-A: one\r\nx-b: \xe4\xf6\r\nX-Empty:\r\nX-C: three\r\n\r\n', 'latin1');

/** Parts of one read, as a parser gives them. */
function partsOf(...words: string[]): Buffer[] {
  return words.map((word) => {
    const at = word === '' ? read.indexOf('X-Empty:') + 8 : read.indexOf(Buffer.from(word, 'latin1'));
    return read.subarray(at, at + word.length);
  });
}

const words = ['X-A', 'one', 'x-b', '\xe4\xf6', 'X-Empty', '', 'X-C', 'three'];

describe('the fields of a head', () => {
  it('are the bytes that came, as latin1', () => {
    assert.deepEqual(textOf(partsOf(...words)), words);
    assert.deepEqual(textOf(words), words);
    assert.deepEqual(textOf([]), []);
  });

  it('are the same where they came in several reads, in another order, or some as strings', () => {
    const [name = read, value = read, ...rest] = partsOf(...words);
    assert.deepEqual(textOf([name, Buffer.concat([value]), ...rest]), words, 'in several reads');
    assert.deepEqual(textOf([Buffer.concat([name]), value, ...rest]), words, 'the first one apart');
    assert.deepEqual(textOf(partsOf('X-C', 'three', 'X-A', 'one')), ['X-C', 'three', 'X-A', 'one']);
    assert.deepEqual(textOf(partsOf('X-A', 'one', 'X-C', 'three', 'x-b', '\xe4\xf6')), [
      ...['X-A', 'one', 'X-C', 'three'],
      ...['x-b', '\xe4\xf6'],
    ]);
    assert.deepEqual(textOf(['X-A', value]), ['X-A', 'one']);
    assert.deepEqual(textOf([name, 'one', ...partsOf('X-C', 'three')]), ['X-A', 'one', 'X-C', 'three']);
  });
});
