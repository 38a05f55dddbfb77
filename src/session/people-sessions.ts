import type { Session } from './session.ts';

type Owned = Pick<Session, 'id' | 'issuer'> & { readonly claims: Pick<Session['claims'], 'sub'> };

/** Which sessions belong to one person, a subject of one issuer; the one that was touched longest ago first. */
export interface PeopleSessions {
  /** Notes a session as its person's most recently used. */
  touch(session: Owned): void;
  /** Forgets a session; one that isn't there is no error. */
  drop(session: Owned): void;
  /** Ids of all sessions of one person. */
  of(person: { readonly issuer: string; readonly subject: string }): readonly string[];
  /** The person's session that was used longest ago, when they have `max` or more. */
  oldestOf(session: Owned, max: number): string | undefined;
}

/** As big as the store whose sessions it tells apart: nothing stays of a person without one. */
export function createPeopleSessions(): PeopleSessions {
  const people = new Map<string, Set<string>>();
  return {
    touch: (session) => {
      const person = personOf(session);
      const own = people.get(person) ?? new Set();
      people.set(person, own);
      // A set keeps the order in which its members came.
      own.delete(session.id);
      own.add(session.id);
    },
    drop: (session) => {
      const person = personOf(session);
      const own = people.get(person);
      own?.delete(session.id);
      if (own?.size === 0) people.delete(person);
    },
    of: ({ issuer, subject }) => [...(people.get(personOf({ issuer, claims: { sub: subject } })) ?? [])],
    oldestOf: (session, max) => {
      const own = people.get(personOf(session));
      const [oldest] = own && own.size >= max ? own : [];
      return oldest;
    },
  };
}

function personOf({ issuer, claims }: Pick<Owned, 'issuer' | 'claims'>): string {
  return JSON.stringify([issuer, claims.sub]);
}
