import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFailedTries } from '../../src/authenticate/failed-tries.ts';
import { createTestClock } from '../session/fixtures.ts';

function setUp(limits: { client?: number; address: number; all: number }) {
  const clock = createTestClock();
  const full: string[] = [];
  const tries = createFailedTries({ limits, now: clock.now, onFull: (by) => full.push(by) });
  const once = (outcome: 'succeeded' | 'failed' | 'unknown', of: { client?: string; address?: string } = {}) => {
    const begun = tries.begin({ address: '10.0.0.1', ...of });
    if (begun.kind === 'go') begun.end(outcome);
    return begun.kind === 'refused' ? begun.by : begun.kind;
  };
  return { clock, full, tries, once };
}

describe('failed tries', () => {
  it('are counted, those that succeed or end in nothing are not', () => {
    const { once, full } = setUp({ address: 2, all: 100 });
    for (let i = 0; i < 50; i++) assert.equal(once(i % 2 === 0 ? 'succeeded' : 'unknown'), 'go');
    assert.deepEqual([once('failed'), once('failed'), once('failed')], ['go', 'go', 'address']);
    assert.deepEqual(full, ['address'], 'told once');
  });

  it('are forgotten evenly within a minute', () => {
    const { once, clock } = setUp({ address: 6, all: 100 });
    for (let i = 0; i < 6; i++) once('failed');
    assert.equal(once('failed'), 'address');
    clock.advance(10_000);
    assert.deepEqual([once('failed'), once('failed')], ['go', 'address']);
    clock.advance(60_000);
    for (let i = 0; i < 6; i++) assert.equal(once('failed'), 'go');
  });

  it('are not made fewer by a clock that is set back, nor more', () => {
    const { once, clock } = setUp({ address: 2, all: 100 });
    once('failed');
    clock.advance(-3_600_000);
    assert.deepEqual([once('failed'), once('failed')], ['go', 'address']);
  });

  it('of one client are not pushed out by however many others that are refused', () => {
    const { once, clock } = setUp({ client: 1, address: 1000, all: 3 });
    for (const client of ['app', 'b', 'c']) assert.equal(once('failed', { client }), 'go');
    for (let i = 0; i < 5000; i++)
      assert.equal(once('failed', { client: `other-${i}`, address: `10.0.${i >> 8}.${i & 255}` }), 'all');
    clock.advance(21_000);
    assert.equal(once('failed', { client: 'app' }), 'client');
  });

  it('wait while those under way could use the limit up, and go on when they have not', async () => {
    const { tries } = setUp({ address: 2, all: 100 });
    const of = { address: '10.0.0.1' };
    const [first, second] = [tries.begin(of), tries.begin(of)];
    const third = tries.begin(of);
    assert.ok(first.kind === 'go' && second.kind === 'go' && third.kind === 'wait');
    first.end('succeeded');
    await third.ended;
    assert.equal(tries.begin(of).kind, 'go');
  });
});
