import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { createKept, restMs } from './kept.ts';
import type { Outbound } from './outbound.ts';
import { createUnknownKids } from './unknown-kids.ts';

/** Questions that one token waits for: one under way that may be too old, and one more. */
const MAX_ASKED = 2;

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
 * Keys change at any moment, so a kid that is not among them is asked for at once, as often as `createUnknownKids` lets it be.
 * It is refused only when the issuer was asked since it came up; else nobody can tell, and whoever sent it keeps what they have.
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
  const judge = createUnknownKids({ askedAt: () => kept.askedAt, now: needs.now });
  let asking: Promise<unknown> | undefined;

  /** @returns whether what is at hand then is the last word about this kid */
  const askFor = async (kid: string | undefined): Promise<boolean> => {
    // It brings all keys; but it may have begun before this kid came up.
    if (asking) {
      await asking;
      return false;
    }
    const { trouble, triedAt = Number.NEGATIVE_INFINITY } = kept;
    if (trouble !== undefined && needs.now() - triedAt < restMs) throw trouble;
    const verdict = judge(kid);
    if (verdict === 'later') throw new Failure('keys_unreachable', 'too many unknown keys were asked for lately');
    if (verdict === 'unknown') return true;
    asking = kept.refetch().finally(() => {
      asking = undefined;
    });
    await asking;
    return true;
  };

  return {
    ask: async () => fetchKeys(await needs.jwksUri(), needs.outbound),
    warmUp: () => {
      // Safe: `onTrouble` has logged it, and whoever needs a key asks again.
      kept.get().catch(() => undefined);
    },
    find: async (header, token) => {
      const first = await orUnreachable(kept.get());
      for (let asked = 1, isLastWord = false; ; asked += 1) {
        const found = await findIn(kept.copy ?? first, header, token);
        if (!(found instanceof errors.JWKSNoMatchingKey)) return found;
        if (isLastWord || asked > MAX_ASKED) throw found;
        isLastWord = await orUnreachable(askFor(header.kid));
        // What was found out last decides between "there is no such key" and "could not tell".
        if (kept.trouble !== undefined) throw unreachable(kept.trouble);
      }
    },
  };
}

async function findIn(
  keys: JWTVerifyGetKey,
  ...of: Parameters<JWTVerifyGetKey>
): Promise<Awaited<ReturnType<JWTVerifyGetKey>> | errors.JWKSNoMatchingKey> {
  try {
    return await keys(...of);
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return error;
    throw error;
  }
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
