import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createShare } from '../../src/forward/share.ts';

describe('a share', () => {
  it('has so many places and no more, until one is given back', () => {
    const share = createShare(() => 2);
    const giveBack = share.take();
    assert.ok(giveBack && share.take());
    assert.equal(share.take(), undefined);
    giveBack();
    assert.ok(share.take());
    assert.equal(share.take(), undefined);
  });

  it('counts a place that is given back twice once', () => {
    const share = createShare(() => 2);
    const giveBack = share.take();
    assert.ok(giveBack && share.take());
    giveBack();
    giveBack();
    assert.ok(share.take());
    assert.equal(share.take(), undefined);
  });

  it('follows the number of places', () => {
    let places = 0;
    const share = createShare(() => places);
    assert.equal(share.take(), undefined);
    places = 1;
    assert.ok(share.take());
  });
});
