import { LRUCache } from 'lru-cache';
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
 * @param needs.maxBytes what keys, entries and identities may take together, estimated
 * @param needs.besideEach bytes that are kept beside each identity, elsewhere; none where it is left out
 */
export function createDecisionCache(needs: {
  maxEntries: number;
  maxBytes: number;
  besideEach?: number;
  now: Clock;
}): DecisionCache {
  const { now, besideEach = 0 } = needs;
  const allows = new LRUCache<string, Allow>({ max: needs.maxEntries, maxSize: needs.maxBytes });
  const noes = new LRUCache<string, KeptNo>({ max: MAX_NOES });
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
      if (now() < kept.until) allows.set(key, kept, { size: sizeOf(kept) + besideEach });
    },
    refuse(key, decision) {
      allows.delete(key);
      noes.set(key, { decision, until: now() + NO_MS });
    },
    forget(key) {
      allows.delete(key);
      noes.delete(key);
    },
  };
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
  return ENTRY_BYTES + JSON.stringify(identity).length + kept;
}
