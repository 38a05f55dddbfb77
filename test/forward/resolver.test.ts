import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { startResolver, systemLookup } from '../../src/forward/resolver.ts';

const stops: (() => void)[] = [];
after(() => {
  for (const stop of stops) stop();
});

/** Answers one after the other, the last again and again; an Error is a failed look-up. */
function follow(answers: readonly (readonly string[] | Error)[], max = 64) {
  const told: string[] = [];
  let asked = 0;
  const done = Promise.withResolvers<void>();
  const lookup = async () => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? [];
    asked += 1;
    // One more than there are answers: all of them were taken in.
    if (asked > answers.length) done.resolve();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const stop = startResolver({
    name: 'svc.test',
    lookup,
    intervalMs: 1,
    max,
    onAddresses: (addresses, answered) => told.push(`${addresses.join(' ')} of ${answered}`),
    onTrouble: (cause) => told.push(cause === undefined ? 'well' : 'trouble'),
  });
  stops.push(stop);
  return { told, all: done.promise.then(stop) };
}

describe('a name', () => {
  it('is looked up again and again, and changes are told, not repetitions or another order', async () => {
    const { told, all } = follow([
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.2', '10.0.0.1'],
      ['10.0.0.2', '10.0.0.3', '10.0.0.3'],
    ]);
    await all;
    assert.deepEqual(told, ['10.0.0.1 10.0.0.2 of 2', '10.0.0.2 10.0.0.3 of 2']);
  });

  it('whose look-ups fail keeps its last addresses; that is told once, and once when it is over', async () => {
    const down = new Error('no server');
    const { told, all } = follow([['10.0.0.1'], down, down, [], ['0.0.0.0', '::'], ['10.0.0.1'], ['10.0.0.1'], down]);
    await all;
    assert.deepEqual(told, ['10.0.0.1 of 1', 'trouble', 'well', 'trouble']);
  });

  it('with ever so many addresses has those that were taken first, as long as they are in the answer', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const { told, all } = follow([many, many.toReversed(), many.slice(1)], 3);
    await all;
    assert.deepEqual(told, ['10.0.0.0 10.0.0.1 10.0.0.2 of 1000', '10.0.0.1 10.0.0.2 10.0.0.3 of 999']);
  });

  it('is looked up the way the system does, hosts file and all', async () => {
    const found = await systemLookup('localhost');
    assert.ok(found.some((address) => address === '127.0.0.1' || address === '::1'));
  });
});
