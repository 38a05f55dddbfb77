import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { networkOf } from '../server/network.ts';

/** Failures within a minute, after which further tries are refused. Absent scopes have no limit. */
export interface FailureLimits {
  readonly client?: number;
  readonly address: number;
  readonly all: number;
}

/** Whose tries are counted together. */
export type FailureScope = 'client' | 'address' | 'all';

/** What a try may do. */
export type Try =
  /** Go on, and say how it ended. */
  | { readonly kind: 'go'; readonly end: (outcome: 'succeeded' | 'failed' | 'unknown') => void }
  | { readonly kind: 'refused'; readonly by: FailureScope }
  /** So many are under way that they could all fail: ask again when one has ended. */
  | { readonly kind: 'wait'; readonly ended: Promise<void> };

/** Who tries. */
export interface TryOf {
  /** Absent: no client is named. */
  readonly client?: string;
  readonly address: string;
}

/** Counts tries that failed; those that succeed, or whose outcome nobody knows, cost nothing. */
export interface FailedTries {
  begin(of: TryOf): Try;
}

const MINUTE: Millis = 60_000;
/** Clients and addresses that are remembered, besides twice as many as may fail in the minute that they are remembered for. */
const MORE_BUCKETS = 1000;

/** A leaky bucket: what failed, less what has leaked since, and what is under way. */
interface Bucket {
  readonly scope: FailureScope;
  readonly limit: number;
  level: number;
  at: Millis;
  underWay: number;
}

/** @param needs.onFull told when a failure makes a bucket full: the first refusal follows. */
export function createFailedTries(needs: {
  limits: FailureLimits;
  now: Clock;
  onFull: (by: FailureScope) => void;
}): FailedTries {
  const { limits, now } = needs;
  const all = emptyBucket('all', limits.all, now());
  const max = 2 * limits.all + MORE_BUCKETS;
  const clients = new LRUCache<string, Bucket>({ max });
  const addresses = new LRUCache<string, Bucket>({ max });
  let next = Promise.withResolvers<void>();
  const bucketsOf = ({ client, address }: TryOf): readonly Place[] => [
    { bucket: all },
    placeIn(addresses, networkOf(address), emptyBucket('address', limits.address, now())),
    ...(client === undefined || limits.client === undefined
      ? []
      : [placeIn(clients, client, emptyBucket('client', limits.client, now()))]),
  ];
  return {
    begin: (of) => {
      const places = bucketsOf(of);
      const buckets = places.map(({ bucket }) => bucket);
      for (const bucket of buckets) leak(bucket, now());
      const full = buckets.find(isFull);
      if (full) return { kind: 'refused', by: full.scope };
      if (buckets.some(isTaken)) return { kind: 'wait', ended: next.promise };
      // Only now: whoever is refused must not push out what is known of others.
      for (const { keep } of places) keep?.();
      for (const bucket of buckets) bucket.underWay += 1;
      const end = (outcome: 'succeeded' | 'failed' | 'unknown') => {
        for (const bucket of buckets) {
          bucket.underWay -= 1;
          if (outcome !== 'failed') continue;
          leak(bucket, now());
          bucket.level += 1;
          if (isFull(bucket)) needs.onFull(bucket.scope);
        }
        next.resolve();
        next = Promise.withResolvers<void>();
      };
      return { kind: 'go', end };
    },
  };
}

function emptyBucket(scope: FailureScope, limit: number, at: Millis): Bucket {
  return { scope, limit, level: 0, at, underWay: 0 };
}

interface Place {
  readonly bucket: Bucket;
  /** Remembers it; absent for what always is. */
  readonly keep?: () => void;
}

function placeIn(buckets: LRUCache<string, Bucket>, name: string, empty: Bucket): Place {
  const bucket = buckets.get(name) ?? empty;
  return { bucket, keep: () => void buckets.set(name, bucket) };
}

function leak(bucket: Bucket, now: Millis): void {
  // A clock that was set back takes nothing away, and adds nothing.
  const passed = Math.max(0, now - bucket.at);
  bucket.level = Math.max(0, bucket.level - (passed * bucket.limit) / MINUTE);
  bucket.at = now;
}

function isFull({ level, limit }: Bucket): boolean {
  return level + 1 > limit;
}

function isTaken({ level, limit, underWay }: Bucket): boolean {
  return underWay > 0 && level + underWay + 1 > limit;
}
