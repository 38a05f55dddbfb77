import type { Log } from '../observe/log.ts';
import type { Redis } from '../redis/redis.ts';
import type { Session } from '../session/session.ts';
import type { Renewal } from './lineage.ts';

/** What could not be told to other replicas, until it can be. */
export interface Unshared {
  /** @param session whose refresh token was spent */
  add(session: Session, renewal: Renewal, cause: unknown): void;
}

/** Renewals that one outage of Redis leaves over: each is a question to the provider that began before it. */
const MAX_KEPT = 10_000;

/** Tells what is left over as soon as Redis is back. */
export function createUnshared(needs: {
  readonly redis: Pick<Redis, 'onUp'>;
  readonly share: (session: Session, renewal: Renewal) => Promise<unknown>;
  readonly log: Log;
}): Unshared {
  const kept = new Map<string, { readonly session: Session; readonly renewal: Renewal }>();
  const flush = async () => {
    for (const [token, { session, renewal }] of kept) {
      await needs.share(session, renewal);
      kept.delete(token);
    }
  };
  needs.redis.onUp(() => {
    // Safe: what is still kept is told at the next connection.
    flush().catch(() => undefined);
  });
  return {
    add: (session, renewal, cause) => {
      // A failure is nothing that others have to know.
      if (renewal.kind === 'failed') return;
      needs.log.warn('renewal.not_shared', { cause });
      kept.set(session.refreshToken ?? '', { session, renewal });
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    },
  };
}
