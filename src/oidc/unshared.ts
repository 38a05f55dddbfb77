import type { Log } from '../observe/log.ts';
import type { Redis } from '../redis/redis.ts';
import type { Renewal } from './lineage.ts';

/** What could not be told to other replicas, until it can be. */
export interface Unshared {
  /** @param token digest of the spent refresh token */
  add(token: string, renewal: Renewal, cause: unknown): void;
}

/** Renewals that one outage of Redis leaves over: each is a question to the provider that began before it. */
const MAX_KEPT = 10_000;

/** Tells what is left over as soon as Redis is back. */
export function createUnshared(needs: {
  readonly redis: Pick<Redis, 'onUp'>;
  readonly share: (token: string, renewal: Renewal) => Promise<void>;
  readonly log: Log;
}): Unshared {
  const kept = new Map<string, Renewal>();
  const flush = async () => {
    for (const [token, renewal] of kept) {
      await needs.share(token, renewal);
      kept.delete(token);
    }
  };
  needs.redis.onUp(() => {
    // Safe: what is still kept is told at the next connection.
    flush().catch(() => undefined);
  });
  return {
    add: (token, renewal, cause) => {
      // A failure is nothing that others have to know.
      if (renewal.kind === 'failed') return;
      needs.log.warn('renewal.not_shared', { cause });
      kept.set(token, renewal);
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    },
  };
}
