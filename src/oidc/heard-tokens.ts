import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { digest } from './digest.ts';

/** Who may act on a logout token. */
export type Claim =
  | {
      readonly kind: 'mine';
      /**
       * The token was acted on: it is worth nothing any more, for as long as it could be used.
       *
       * @throws {Failure} `store_unreachable` when others may not know
       */
      keep(): Promise<void>;
      /** It was not: it may come again. Never throws. */
      giveBack(): Promise<void>;
    }
  | { readonly kind: 'used' }
  /** Another process is at it: what comes of that is not known yet. */
  | { readonly kind: 'taken' };

/** What names a logout token, and how long it is good. */
export interface NamedToken {
  readonly issuer: string;
  readonly jti: string;
  /** After that it is refused anyway. */
  readonly goodUntil: Millis;
}

/** Logout tokens that were used: each is good once. */
export interface HeardTokens {
  /** One of all who ask gets it. @throws {Failure} `store_unreachable` when nobody can tell */
  claim(token: NamedToken): Promise<Claim>;
}

/** Names of tokens that one process remembers; 10,000 sign-outs within the few minutes that such tokens live. */
const MAX_REMEMBERED = 10_000;
/** However long a token says that it lives. */
const LONGEST_MEMORY_MS: Millis = 86_400_000;

/** Remembers in this process alone. */
export function createHeardTokens(needs: { readonly now: Clock }): HeardTokens {
  const used = createUsedTokens(needs);
  return {
    claim: async (token) => {
      if (used.has(token)) return { kind: 'used' };
      // Before anything is waited for: of two that come together one is the second.
      used.add(token);
      return { kind: 'mine', keep: async () => {}, giveBack: async () => used.drop(token) };
    },
  };
}

/** The names themselves, each for as long as its token could be used. */
export interface UsedTokens {
  has(token: NamedToken): boolean;
  add(token: NamedToken): void;
  drop(token: NamedToken): void;
}

export function createUsedTokens({ now }: { readonly now: Clock }): UsedTokens {
  const used = new LRUCache<string, true>({ max: MAX_REMEMBERED, perf: { now }, ttlResolution: 0 });
  return {
    has: (token) => used.has(nameOf(token)),
    add: (token) => void used.set(nameOf(token), true, { ttl: memoryOf(token, now()) }),
    drop: (token) => void used.delete(nameOf(token)),
  };
}

/** A digest: a name is as long as its provider likes, and nobody has to read it back. */
export function nameOf({ issuer, jti }: NamedToken): string {
  return digest(JSON.stringify([issuer, jti]));
}

/** How long a used token has to be remembered: for the rest of its life, a day at most. */
export function memoryOf({ goodUntil }: NamedToken, now: Millis): Millis {
  return Math.min(LONGEST_MEMORY_MS, Math.max(1, Math.ceil(goodUntil - now)));
}
