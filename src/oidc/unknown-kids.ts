import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { digest } from './digest.ts';

/** So many questions at once, and then one in so long: a stranger who makes kids up steers no more of our requests. */
const AT_ONCE = 5;
const EVERY_MS: Millis = 6000;
/** A kid that the issuer did not have is asked for again: after five seconds, and each time after twice as long. */
const AGAIN_MS: readonly [Millis, Millis] = [5000, 60_000];
/** Kids that are remembered; one that is forgotten counts as new. */
const MAX_KIDS = 1000;

/** What to do about a kid that is not among an issuer's keys. */
export type Verdict =
  /** Ask the issuer. */
  | 'ask'
  /** It was asked since that kid came up, and a moment ago: there is no such key. */
  | 'unknown'
  /** It was not, and may not be asked now. */
  | 'later';

/**
 * Says when an issuer may be asked for its keys because of a kid that nobody knows. Each question brings all keys: it settles
 * every kid that came up before it.
 *
 * @param needs.askedAt when the keys at hand were asked for
 */
export function createUnknownKids(needs: {
  readonly askedAt: () => Millis | undefined;
  readonly now: Clock;
}): (kid: string | undefined) => Verdict {
  const kids = new LRUCache<string, { readonly seenAt: Millis; gapMs: Millis }>({ max: MAX_KIDS });
  const take = createAllowance(needs.now);
  return (kid = '') => {
    const now = needs.now();
    const name = digest(kid);
    const known = kids.get(name);
    const one = known ?? { seenAt: now, gapMs: AGAIN_MS[0] };
    if (!known) kids.set(name, one);
    const askedAt = needs.askedAt();
    // What was asked for in the very millisecond in which it came up was asked for before.
    if (askedAt === undefined || askedAt < one.seenAt || !known) return take() ? 'ask' : 'later';
    if (now - askedAt < one.gapMs || !take()) return 'unknown';
    one.gapMs = Math.min(2 * one.gapMs, AGAIN_MS[1]);
    return 'ask';
  };
}

/** A bucket that fills again. */
function createAllowance(now: Clock): () => boolean {
  let left = AT_ONCE;
  let at = now();
  return () => {
    // A clock that was set back gives nothing.
    left = Math.min(AT_ONCE, left + Math.max(0, now() - at) / EVERY_MS);
    at = now();
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
