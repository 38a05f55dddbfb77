import type { Clock } from './config/units.ts';
import { personDigest } from './observe/facts.ts';
import type { Log } from './observe/log.ts';
import type { SessionLimits } from './session/limits.ts';
import { namedSignOut, personSignOut } from './session/person-sign-out.ts';
import type { Revocations, Revoked } from './session/revocations.ts';
import type { ListedSession } from './session/session-list.ts';
import type { SessionStore } from './session/store.ts';

/** Whose sessions: one person's, or everybody's a page at a time. */
export type Listing =
  | { readonly kind: 'person'; readonly issuer: string; readonly subject: string }
  | { readonly kind: 'page'; readonly cursor: string | undefined };

export type Shown =
  | { readonly kind: 'shown'; readonly sessions: readonly ListedSession[]; readonly cursor?: string }
  /** Sessions are with their browsers only. */
  | { readonly kind: 'not-kept' };

/** What operators do with sessions. */
export interface OperatorSessions {
  /** Without those that were signed out. @throws {Failure} `store_unreachable` */
  list(listing: Listing): Promise<Shown>;
  /** @throws {Failure} `store_unreachable` when some replica may not hear of it; it is in force in this process then */
  revoke(of: Revoked): Promise<void>;
}

export function createOperatorSessions(needs: {
  readonly store: Pick<SessionStore, 'list'>;
  readonly revocations: Pick<Revocations, 'revoke' | 'isRevoked'>;
  readonly limits: SessionLimits;
  readonly log: Log;
  readonly now: Clock;
}): OperatorSessions {
  const { store, revocations, limits, log, now } = needs;
  const inForce = (sessions: readonly ListedSession[]) => sessions.filter((one) => !revocations.isRevoked(one));
  const endEach = async (of: Extract<Revoked, { subject: string }>) => {
    const known = (await store.list?.ofPerson(of)) ?? [];
    const { issuer, subject } = of;
    const each = known.map(({ handle }) => ({ kind: 'session', handle, issuer, subject }) as const);
    await Promise.all(each.map((one) => revocations.revoke(namedSignOut(one, { now: now(), limits }))));
  };
  return {
    list: async (listing) => {
      const { list } = store;
      if (!list) return { kind: 'not-kept' };
      if (listing.kind === 'person') return { kind: 'shown', sessions: inForce(await list.ofPerson(listing)) };
      const { sessions, cursor } = await list.page(listing.cursor);
      return { kind: 'shown', sessions: inForce(sessions), ...(cursor !== undefined && { cursor }) };
    },
    revoke: async (of) => {
      log.info('logout.by_operator', factsOf(of));
      if (of.kind === 'session' || of.kind === 'provider-session')
        return revocations.revoke(namedSignOut(of, { now: now(), limits }));
      // Also one by one, where they are known: a session may have begun by a clock that is further ahead than they should be.
      await Promise.all([revocations.revoke(personSignOut(of, { now: now(), limits, kind: of.kind })), endEach(of)]);
    },
  };
}

function factsOf(of: Revoked) {
  switch (of.kind) {
    case 'session':
      return { of: of.kind, session: of.handle };
    case 'provider-session':
      return { of: of.kind, issuer: of.issuer };
    case 'person':
    case 'person-without-sid':
      return { of: of.kind, issuer: of.issuer, subject: personDigest(of.issuer, of.subject) };
  }
}
