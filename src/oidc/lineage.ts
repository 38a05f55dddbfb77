import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import type { Failure } from '../failure.ts';
import type { Session } from '../session/session.ts';
import { digest } from './digest.ts';

/** What became of a renewal. */
export type Renewal =
  | { readonly kind: 'renewed'; readonly session: Session }
  /** The provider said that this refresh token is worth nothing: the session is over. */
  | { readonly kind: 'refused' }
  /** Could not ask: the session stands as long as its access token. */
  | { readonly kind: 'failed'; readonly cause: Failure };

/**
 * A session through its renewals: all its refresh tokens lead here. The spent ones must never be sent again, as a provider
 * that rotates takes that for theft and ends the whole family.
 */
export interface Lineage {
  latest: Session;
  /** Digests of its refresh tokens, the oldest first. */
  readonly digests: string[];
  flight?: Promise<Renewal>;
  /** After a no or a failure, what is answered until then without asking again. */
  pause?: { readonly until: Millis; readonly answer: Renewal };
  /** In a row. */
  failures: number;
}

/** The lineages of this process, found by any of their refresh tokens. */
export interface Lineages {
  /** @returns undefined for one that is not known, or whose id is another's */
  find(session: Session): Lineage | undefined;
  /** The lineage of a session, begun when there is none; undefined when its refresh token belongs to another session. */
  of(session: Session, refreshToken: string): Lineage | undefined;
  /** Keeps a lineage until its newest access token dies, by all its refresh tokens, the newest one too. */
  remember(lineage: Lineage): void;
}

/** Refresh tokens remembered at most, over all sessions. */
const maxDigests = 50_000;
/** Of one session: a straggler with an older cookie than that signs in again. */
const digestsPerSession = 64;
/** Remembered at least so long, however short-lived the access tokens: Set-Cookie gets lost, and old cookies come late. */
const rememberMs: Millis = 900_000;

export function createLineages(needs: { now: Clock }): Lineages {
  const { now } = needs;
  const known = new LRUCache<string, Lineage>({ max: maxDigests, perf: { now }, ttlResolution: 0 });

  const remember = (lineage: Lineage): void => {
    const { latest, digests } = lineage;
    const newest = latest.refreshToken === undefined ? undefined : digest(latest.refreshToken);
    if (newest !== undefined && !digests.includes(newest)) digests.push(newest);
    for (const dropped of digests.splice(0, digests.length - digestsPerSession)) known.delete(dropped);
    const ttl = Math.max(latest.accessExpiresAt - now(), rememberMs);
    for (const key of digests) known.set(key, lineage, { ttl });
  };
  const find = (session: Session): Lineage | undefined => {
    const lineage = session.refreshToken === undefined ? undefined : known.get(digest(session.refreshToken));
    return lineage?.latest.id === session.id ? lineage : undefined;
  };
  return {
    find,
    remember,
    of: (session, refreshToken) => {
      const key = digest(refreshToken);
      if (known.has(key)) return find(session);
      const lineage: Lineage = { latest: session, digests: [key], failures: 0 };
      remember(lineage);
      return lineage;
    },
  };
}
