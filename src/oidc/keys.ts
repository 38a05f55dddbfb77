import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { createKept } from './kept.ts';
import type { Outbound } from './outbound.ts';

/** Unknown kids are asked for at most so often: a stranger who makes kids up must not steer our requests. */
export const unknownKidEveryMs: Millis = 30_000;

export interface Keys {
  /** @see Provider.keys */
  readonly find: JWTVerifyGetKey;
  /** One attempt to fetch them that changes nothing of what is kept. */
  ask(): Promise<unknown>;
  /** @see Provider.warmUp */
  warmUp(): void;
}

/**
 * An issuer's signing keys, kept (see `createKept`).
 *
 * @param needs.jwksUri where they are; may ask for the metadata first
 */
export function createKeys(needs: {
  jwksUri: () => Promise<string>;
  outbound: Outbound;
  now: Clock;
  onTrouble: (error: unknown) => void;
}): Keys {
  const kept = createKept<JWTVerifyGetKey>({
    fetch: async () => fetchKeys(await needs.jwksUri(), needs.outbound),
    now: needs.now,
    onTrouble: needs.onTrouble,
  });
  let askedForKidAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<JWTVerifyGetKey> | undefined;

  const askForKid = async (): Promise<JWTVerifyGetKey | undefined> => {
    if (asking) return asking;
    if (needs.now() - askedForKidAt < unknownKidEveryMs) return undefined;
    askedForKidAt = needs.now();
    asking = kept.refetch().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  return {
    ask: async () => fetchKeys(await needs.jwksUri(), needs.outbound),
    warmUp: () => {
      // Safe: `onTrouble` has logged it, and whoever needs a key asks again.
      kept.get().catch(() => undefined);
    },
    find: async (header, token) => {
      const known = await orUnreachable(kept.get());
      try {
        return await known(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        const asked = await orUnreachable(askForKid());
        if (asked) return asked(header, token);
        // Asked a moment ago: what came of it decides between "there is no such key" and "could not tell".
        if (kept.trouble !== undefined) throw unreachable(kept.trouble);
        const newest = kept.copy;
        if (!newest) throw error;
        return newest(header, token);
      }
    },
  };
}

async function fetchKeys(url: string, outbound: Outbound): Promise<JWTVerifyGetKey> {
  const answer = await outbound.fetch(url, { headers: { accept: 'application/jwk-set+json, application/json' } });
  if (answer.status !== 200) throw new Failure('keys_unreachable', `the keys' address answered ${answer.status}`);
  try {
    const document: unknown = await answer.json();
    if (!isKeySet(document)) throw new TypeError('no list of keys');
    return createLocalJWKSet(document);
  } catch (cause) {
    throw new Failure('keys_unreachable', 'what came from the keys’ address is no JWK set', { cause });
  }
}

function isKeySet(document: unknown): document is JSONWebKeySet {
  return typeof document === 'object' && document !== null && 'keys' in document && Array.isArray(document.keys);
}

async function orUnreachable<T>(fetched: Promise<T>): Promise<T> {
  try {
    return await fetched;
  } catch (error) {
    throw unreachable(error);
  }
}

function unreachable(cause: unknown): Failure {
  return new Failure('keys_unreachable', "the issuer's keys could not be asked for", { cause });
}
