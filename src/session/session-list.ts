import type { Millis } from '../config/units.ts';
import type { SessionMarks } from './marks.ts';

/** Where a session was begun: what its owner recognises it by. */
export interface Whereabouts {
  /** Of the browser; never proved, only shown. */
  readonly userAgent: string;
  /** The client's address, as the trusted proxies say it. */
  readonly address: string;
}

/** A session as its owner and operators see it; nothing here opens it. */
export interface ListedSession extends SessionMarks, Whereabouts {
  readonly seenAt: Millis;
  /** When it ends whatever happens. */
  readonly endsAt: Millis;
}

/** The sessions that a store keeps, where it can tell. */
export interface SessionList {
  /** All of one person's, in no order; at most a few hundred. @throws {Failure} `store_unreachable` */
  ofPerson(person: Pick<SessionMarks, 'issuer' | 'subject'>): Promise<readonly ListedSession[]>;
  /**
   * Everybody's, a page at a time.
   *
   * @param cursor what the page before ended with; undefined for the first
   * @returns with a cursor as long as there are more
   * @throws {Failure} `store_unreachable`
   */
  page(cursor?: string): Promise<{ readonly sessions: readonly ListedSession[]; readonly cursor?: string }>;
}
