import type { Clock, Millis } from '../config/units.ts';
import type { Failure } from '../failure.ts';
import type { SessionMarks } from './marks.ts';
import { keyOf, personOf, type Revocation, speaksOf, wholeOf } from './revocation.ts';
import { createRevocationList, type RevocationList } from './revocation-list.ts';

export { type Revocation, type Revoked, speaksOf } from './revocation.ts';

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

export interface RevocationNeeds {
  readonly now: Clock;
  /** How many of each kind. */
  readonly max: number;
  /** How many of each kind one person has. */
  readonly maxOfPerson: number;
  /** Told that older sessions of a person, or of everybody, are refused in place of those whose sign-outs made room. */
  readonly onFull: (instead: Revocation) => void;
}

/**
 * Keeps revocations in this process's memory, each until its sessions would have ended anyway. Bounded, and none is forgotten
 * for it: where the oldest make room, one that reaches further stands for them all. Who signs out too often is refused their own
 * older sessions; only where too many people have signed out is everybody refused theirs, from before the oldest sign-out
 * that is still known one by one.
 */
export function createRevocations(needs: RevocationNeeds): KnownRevocations {
  const { now } = needs;
  const create = () => createRevocationList({ now });
  const lists = {
    session: create(),
    'provider-session': create(),
    person: create(),
    'person-without-sid': create(),
    everybody: create(),
  };
  const listeners = new Set<(revocation: Revocation) => void>();
  const keep = (revocation: Revocation): void => {
    const list = lists[revocation.of.kind];
    if (!list.add(keyOf(revocation.of), revocation)) return;
    for (const listener of listeners) listener(revocation);
    const instead = makeRoom(list, revocation.of, needs);
    if (instead === undefined) return;
    needs.onFull(instead);
    keep(instead);
  };
  return {
    revoke: async (revocation) => keep(revocation),
    isRevoked: (session) =>
      lists.session.get(session.handle) !== undefined ||
      (lists['provider-session'].size > 0 && isSignedOutThere(session, lists['provider-session'])) ||
      OF_PERSONS.some((kind) => lists[kind].size > 0 && isPersonSignedOut(session, lists[kind], kind)) ||
      (lists.everybody.size > 0 && isEverybodySignedOut(session, lists.everybody)),
    freeFrom: ({ issuer, subject }) => {
      const known = OF_PERSONS.map((kind) => lists[kind].get(keyOf({ kind, issuer, subject })));
      return Math.max(...[...known, lists.everybody.get(keyOf({ kind: 'everybody' }))].map((one) => one?.at ?? -1)) + 1;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    known: () => Object.values(lists).flatMap((list) => list.all()),
  };
}

/** Clocks of replicas: a session may have begun by one that is ahead of that by which it was signed out. */
const SLACK_MS: Millis = 60_000;

/** @returns what stands for those that had to go */
function makeRoom(list: RevocationList, of: Revocation['of'], needs: RevocationNeeds): Revocation | undefined {
  const { max, maxOfPerson } = needs;
  const person = personOf(of);
  if (person !== undefined && list.countOf(person) > maxOfPerson) {
    list.sweep(person);
    // Half of them, as it takes a walk over all to find them.
    if (list.countOf(person) > maxOfPerson) return standIn(wholeOf(of), list.take(Math.ceil(maxOfPerson / 2), person));
  }
  if (list.size > max) list.sweep();
  // Several at once: everybody's sessions are looked at for it.
  if (list.size > max) return standIn({ kind: 'everybody' }, list.take(Math.ceil(max / 100)));
  return undefined;
}

function standIn(of: Revocation['of'], gone: readonly Revocation[]): Revocation | undefined {
  if (gone.length === 0) return undefined;
  const [at, until] = [Math.max(...gone.map((one) => one.at)), Math.max(...gone.map((one) => one.until))];
  return { of, at: at + SLACK_MS, until };
}

function isSignedOutThere({ issuer, sid }: SessionMarks, list: RevocationList): boolean {
  return sid !== undefined && list.get(keyOf({ kind: 'provider-session', issuer, sid })) !== undefined;
}

const OF_PERSONS = ['person', 'person-without-sid'] as const;

function isPersonSignedOut(session: SessionMarks, list: RevocationList, kind: (typeof OF_PERSONS)[number]): boolean {
  const known = list.get(keyOf({ kind, issuer: session.issuer, subject: session.subject }));
  return known !== undefined && speaksOf(known, session);
}

function isEverybodySignedOut(session: SessionMarks, list: RevocationList): boolean {
  const known = list.get(keyOf({ kind: 'everybody' }));
  return known !== undefined && speaksOf(known, session);
}
