import type { Clock, Millis } from '../config/units.ts';
import type { Failure } from '../failure.ts';
import type { SessionMarks } from './marks.ts';

/** Which sessions a sign-out ends. */
export type Revoked =
  | { readonly kind: 'session'; readonly handle: string }
  /** Those that came of one session at the provider. */
  | { readonly kind: 'provider-session'; readonly issuer: string; readonly sid: string }
  | { readonly kind: 'person'; readonly issuer: string; readonly subject: string }
  /** Those of a person's of which nobody knows to which session at the provider they belong. */
  | { readonly kind: 'person-without-sid'; readonly issuer: string; readonly subject: string };

/** A sign-out before the session's time. */
export interface Revocation {
  readonly of: Revoked;
  /** Sessions that begin later are others; only a person begins several. */
  readonly at: Millis;
  /** When the last session that it speaks of would have ended anyway. */
  readonly until: Millis;
}

/** Asked before any cached decision is believed. */
export interface Revocations {
  /**
   * Refuses sessions in this process from this moment on, whatever comes of the promise.
   *
   * @returns when everybody who shares these revocations will hear of it
   * @throws {Failure} `store_unreachable` when somebody may not
   */
  revoke(revocation: Revocation): Promise<void>;
  isRevoked(session: SessionMarks): boolean;
  /** The first moment that no sign-out of this person known here speaks of: a session of theirs that begins now begins then at the earliest. */
  freeFrom(person: Pick<SessionMarks, 'issuer' | 'subject'>): Millis;
  /** Why nobody knows whether a session was signed out elsewhere, where that is to refuse sessions. */
  cannotTell?(): Failure | undefined;
  /**
   * Tells of each revocation once it is in force here, wherever it was made.
   *
   * @param listener must not throw
   * @returns ends the telling
   */
  subscribe(listener: (revocation: Revocation) => void): () => void;
}

/** Revocations that can be told one by one. */
export interface KnownRevocations extends Revocations {
  /** All that are in force. */
  known(): Iterable<Revocation>;
}

/**
 * Keeps revocations in this process's memory, each until its sessions would have ended anyway.
 *
 * @param needs.max     how many of each kind at most; beyond it the oldest makes room
 * @param needs.onEvict told of a revocation that had to make room before its time: its sessions are believed again
 */
export function createRevocations(needs: {
  now: Clock;
  max: number;
  onEvict: (revocation: Revocation) => void;
}): KnownRevocations {
  const lists = {
    session: createList(needs),
    'provider-session': createList(needs),
    person: createList(needs),
    'person-without-sid': createList(needs),
  };
  const listeners = new Set<(revocation: Revocation) => void>();
  return {
    revoke: async (revocation) => {
      if (!lists[revocation.of.kind].add(keyOf(revocation.of), revocation)) return;
      for (const listener of listeners) listener(revocation);
    },
    isRevoked: (session) =>
      lists.session.has(session.handle) ||
      (!lists['provider-session'].isEmpty() && isSignedOutThere(session, lists['provider-session'])) ||
      (!lists.person.isEmpty() && isPersonSignedOut(session, lists.person, 'person')) ||
      (!lists['person-without-sid'].isEmpty() &&
        isPersonSignedOut(session, lists['person-without-sid'], 'person-without-sid')),
    freeFrom: ({ issuer, subject }) => {
      const known = OF_PERSONS.map((kind) => lists[kind].get(keyOf({ kind, issuer, subject }))?.at ?? -1);
      return Math.max(...known) + 1;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    known: () => Object.values(lists).flatMap((list) => list.all()),
  };
}

/** Whether a revocation speaks of this session. */
export function speaksOf({ of, at }: Pick<Revocation, 'of' | 'at'>, session: SessionMarks): boolean {
  switch (of.kind) {
    case 'session':
      return of.handle === session.handle;
    case 'provider-session':
      return of.sid === session.sid && of.issuer === session.issuer;
    case 'person':
      return of.subject === session.subject && of.issuer === session.issuer && session.startedAt <= at;
    case 'person-without-sid':
      return session.sid === undefined && speaksOf({ of: { ...of, kind: 'person' }, at }, session);
  }
}

const OF_PERSONS = ['person', 'person-without-sid'] as const;

function isSignedOutThere({ issuer, sid }: SessionMarks, list: List): boolean {
  return sid !== undefined && list.has(keyOf({ kind: 'provider-session', issuer, sid }));
}

function isPersonSignedOut(session: SessionMarks, list: List, kind: (typeof OF_PERSONS)[number]): boolean {
  const known = list.get(keyOf({ kind, issuer: session.issuer, subject: session.subject }));
  return known !== undefined && speaksOf(known, session);
}

function keyOf(of: Revoked): string {
  switch (of.kind) {
    case 'session':
      return of.handle;
    case 'provider-session':
      return JSON.stringify([of.issuer, of.sid]);
    case 'person':
    case 'person-without-sid':
      return JSON.stringify([of.issuer, of.subject]);
  }
}

interface List {
  /** @returns whether anything became refused by it */
  add(key: string, revocation: Revocation): boolean;
  has(key: string): boolean;
  get(key: string): Revocation | undefined;
  isEmpty(): boolean;
  all(): readonly Revocation[];
}

// A Map keeps the order in which its keys came; a cache with room set aside for half a million would take 20 MB empty.
function createList({ now, max, onEvict }: Parameters<typeof createRevocations>[0]): List {
  const list = new Map<string, Revocation>();
  const inForce = (key: string) => {
    const known = list.get(key);
    return known !== undefined && now() <= known.until ? known : undefined;
  };
  let purgedAt = now();
  // Sweeps the dead before one alive has to go; at most once a second, as a storm of sign-outs at the bound would otherwise
  // walk the whole list each time.
  const makeRoom = () => {
    if (list.size < max) return;
    if (now() - purgedAt >= 1000) {
      purgedAt = now();
      for (const [key, { until }] of list) if (until < now()) list.delete(key);
    }
    for (const [key, oldest] of list) {
      if (list.size < max) return;
      list.delete(key);
      if (oldest.until > now()) onEvict(oldest);
    }
  };
  return {
    add: (key, revocation) => {
      const known = inForce(key);
      const at = Math.max(known?.at ?? 0, revocation.at);
      const until = Math.max(known?.until ?? 0, revocation.until);
      if (until <= now() || (known?.at === at && known.until === until)) return false;
      list.delete(key);
      makeRoom();
      list.set(key, { of: revocation.of, at, until });
      return true;
    },
    has: (key) => inForce(key) !== undefined,
    get: inForce,
    isEmpty: () => list.size === 0,
    all: () => [...list.values()].filter(({ until }) => now() <= until),
  };
}
