import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTroubles } from './troubles.ts';

/** A sign-out is acknowledged at this moment. */
const ACK = 100_000;
const FOREVER = Number.POSITIVE_INFINITY;

type Case = readonly [
  when: string,
  revocations: 'required' | 'best-effort',
  outage: readonly [from: number, until: number],
  inForceAt: number,
  endsBy: number,
];

/** Milliseconds after the sign-out. */
const cases: readonly Case[] = [
  ['Redis was back before', 'required', [-8000, -10], 1000, 1000],
  ['Redis is away later', 'required', [1500, FOREVER], 1000, 1000],
  ['Redis falls silent before everybody has heard', 'required', [100, 6000], 3100, 7500],
  ['Redis is away later', 'best-effort', [1500, 6000], 7500, 7500],
  ['Redis does not come back', 'best-effort', [1500, FOREVER], FOREVER, FOREVER],
  ['Redis was back long before', 'best-effort', [-8000, -3000], 1000, 1000],
];

describe('a sign-out that was acknowledged', () => {
  for (const [when, revocations, [from, until], inForceAt, endsBy] of cases)
    it(`is in force, and has ended what was open, when it can be: ${when} (revocations: ${revocations})`, () => {
      let at = ACK + from;
      const troubles = createTroubles({ store: 'cookie', revocations }, () => at);
      const mended = troubles.redis(false);
      at = ACK + until;
      if (until !== FOREVER) mended();
      assert.deepEqual([troubles.inForceAt(ACK) - ACK, troubles.endsBy(ACK) - ACK], [inForceAt, endsBy]);
    });
});
