import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';

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
/** Clients and addresses with failures, each: far more than may fail in the minute that they are remembered for. */
const MAX_BUCKETS = 10_000;

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
  const clients = new LRUCache<string, Bucket>({ max: MAX_BUCKETS });
  const addresses = new LRUCache<string, Bucket>({ max: MAX_BUCKETS });
  let next = Promise.withResolvers<void>();
  const bucketsOf = (of: TryOf): readonly Bucket[] => [
    bucketIn(addresses, networkOf(of.address), emptyBucket('address', limits.address, now())),
    all,
    ...(of.client === undefined || limits.client === undefined
      ? []
      : [bucketIn(clients, of.client, emptyBucket('client', limits.client, now()))]),
  ];
  return {
    begin: (of) => {
      const buckets = bucketsOf(of);
      for (const bucket of buckets) leak(bucket, now());
      const full = buckets.find(isFull);
      if (full) return { kind: 'refused', by: full.scope };
      if (buckets.some(isTaken)) return { kind: 'wait', ended: next.promise };
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

function bucketIn(buckets: LRUCache<string, Bucket>, name: string, empty: Bucket): Bucket {
  const known = buckets.get(name);
  if (known) return known;
  buckets.set(name, empty);
  return empty;
}

function leak(bucket: Bucket, now: Millis): void {
  bucket.level = Math.max(0, bucket.level - ((now - bucket.at) * bucket.limit) / MINUTE);
  bucket.at = now;
}

function isFull({ level, limit }: Bucket): boolean {
  return level + 1 > limit;
}

function isTaken({ level, limit, underWay }: Bucket): boolean {
  return underWay > 0 && level + underWay + 1 > limit;
}

/** An IPv4 address, or the /64 of an IPv6 one: whoever has one of its addresses has them all. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [before = '', after] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const head = before === '' ? [] : before.split(':');
  if (after === undefined) return head.slice(0, 4).map(plain).join(':');
  const tail = after === '' ? [] : after.split(':').flatMap((group) => (group.includes('.') ? ['v4', 'v4'] : [group]));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).map(plain).join(':');
}

function plain(group: string): string {
  return group.replace(/^0+(?=.)/, '');
}
