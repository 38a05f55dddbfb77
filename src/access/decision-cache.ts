import { LRUCache } from 'lru-cache';
import type { Identity } from '../authenticate/identity.ts';
import type { Clock, Millis } from '../config/units.ts';
import type { Decision } from './decision.ts';

export type Allow = Extract<Decision, { kind: 'allow' }>;
export type No = Extract<Decision, { kind: 'sign-in' | 'deny' }>;

/** Remembers decisions by the key of their credential, yes and no apart. "Could not tell" has no place in it. */
export interface DecisionCache {
  /** What was decided and still holds. */
  get(key: string): Allow | No | undefined;
  /** Remembers an allow until its own `until`, or as long as it pays where that is sooner. */
  allow(key: string, decision: Allow): void;
  refuse(key: string, decision: No): void;
  forget(key: string): void;
  /** More is kept elsewhere for as long as this identity is: as many bytes, or fewer where it is a negative number. */
  grow(identity: Identity, bytes: number): void;
}

const MAX_NOES = 1024;
const NO_MS: Millis = 10_000;

/**
 * An allow that renewed its session is kept under the old cookie for so long: the requests that a browser had under way
 * with that cookie all get the same new one. Later stragglers ask anew, and so get one that is as fresh as the session.
 */
const RENEWED_MS: Millis = 10_000;

/**
 * Two LRU lists, so that garbage never evicts a real decision: allows bounded by number and bytes, noes 1,024 at 10 s.
 *
 * @param needs.maxBytes what keys, entries, identities and what is kept beside those may take together, estimated
 * @param needs.isFixed  nothing is ever kept beside an identity: then it need not be known where it is
 */
export function createDecisionCache(needs: {
  maxEntries: number;
  maxBytes: number;
  isFixed?: boolean;
  now: Clock;
}): DecisionCache {
  const { now, isFixed = false } = needs;
  const allows = new LRUCache<string, Allow>({ max: needs.maxEntries, maxSize: needs.maxBytes });
  const noes = new LRUCache<string, KeptNo>({ max: MAX_NOES });
  const places = new WeakMap<Identity, Place>();
  return {
    get(key) {
      const allow = allows.get(key);
      if (allow) {
        if (now() < allow.until) return allow;
        allows.delete(key);
      }
      const no = noes.get(key);
      return no && now() < no.until ? no.decision : undefined;
    },
    allow(key, decision) {
      const isRenewed = decision.renewedCookie !== undefined;
      const kept = isRenewed ? { ...decision, until: Math.min(decision.until, now() + RENEWED_MS) } : decision;
      noes.delete(key);
      if (now() >= kept.until) return;
      const size = sizeOf(kept);
      if (!isFixed) places.set(kept.identity, { key, size });
      allows.set(key, kept, { size });
    },
    refuse(key, decision) {
      allows.delete(key);
      noes.set(key, { decision, until: now() + NO_MS });
    },
    forget(key) {
      allows.delete(key);
      noes.delete(key);
    },
    grow(identity, bytes) {
      const place = places.get(identity);
      const allow = place && allows.peek(place.key);
      if (!place || allow?.identity !== identity) return;
      place.size += bytes;
      // A copy: the list takes no new size for the same value.
      allows.set(place.key, { ...allow }, { size: place.size });
    },
  };
}

/** Where an identity is remembered, and how much it takes there with all that is kept beside it. */
interface Place {
  readonly key: string;
  size: number;
}

interface KeptNo {
  readonly decision: No;
  readonly until: Millis;
}

/** Key, list slots, and the objects around an identity: what measuring 100,000 left after their strings. */
const ENTRY_BYTES = 700;

function sizeOf(decision: Allow): number {
  const { identity, renewedCookie, accessToken } = decision;
  const kept = (renewedCookie?.length ?? 0) + (accessToken?.reveal().length ?? 0);
  return ENTRY_BYTES + Buffer.byteLength(JSON.stringify(identity)) + kept;
}
