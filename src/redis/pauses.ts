import { randomInt } from 'node:crypto';
import type { Millis } from '../config/units.ts';

/**
 * The longest pause between two attempts: how late somebody may notice that Redis is back. A sign-out that another gateway
 * could tell by then has to end what is open here within a second.
 */
export const LONGEST_PAUSE_MS: Millis = 500;
const SHORTEST_PAUSE_MS: Millis = 50;

/** Pauses between attempts: each twice as long as the one before, all of them shortened by chance so that replicas spread. */
export interface Pauses {
  next(): Millis;
  reset(): void;
}

export function createPauses(): Pauses {
  let taken = 0;
  return {
    next: () => {
      const longest = Math.min(SHORTEST_PAUSE_MS * 2 ** taken, LONGEST_PAUSE_MS);
      taken = Math.min(taken + 1, 16);
      return randomInt(Math.ceil(longest / 2), longest + 1);
    },
    reset: () => {
      taken = 0;
    },
  };
}
