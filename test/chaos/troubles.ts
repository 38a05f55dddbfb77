import type { Refreshed } from '../fakes/provider.ts';
import type { Deployment } from './stage.ts';

/**
 * What nobody can prevent, so that the invariants can be exact about everything else. All of it is in docs/operations.md.
 */
export interface Troubles {
  /** Redis is away, or not what it was, until the returned function is called. @param isEmptied whether it forgot everything */
  redis(isEmptied: boolean): () => void;
  noteRefresh(subject: string, what: Refreshed): void;
  /** A gateway is being killed: what it has just heard from the provider may be known to nobody else. */
  noteKill(): void;
  /** A gateway has ended: what it could not tell Redis is gone. */
  noteEnd(): void;
  /** The provider has a new key, or its keys cannot be had. */
  noteKeys(): void;
  /** A strict provider may take this person's next refresh for theft. */
  mayBeSpentAgain(subject: string): boolean;
  /** Why a session may have ended although nobody asked for it. @param begunAt when its sign-in began */
  mayBeGone(session: { readonly subject: string; readonly begunAt: number }): string | undefined;
  /** The moment from which a sign-out that was acknowledged at `ackAt` is in force; Infinity: while Redis is away. */
  inForceAt(ackAt: number): number;
  /** The same for what the session had open: whoever cannot be told goes on with that until it can be. */
  endsBy(ackAt: number): number;
  /** Whether a good token may be refused for a key that is not known yet. */
  areKeysUnsettled(): boolean;
}

/** Of Redis. */
interface Outage {
  readonly from: number;
  until: number;
}

/** A sign-out is in force everywhere by then. */
const EVERYWHERE_MS = 1000;
/** Until a gateway has noticed that Redis is silent, and until it knows again what happened meanwhile. */
const NOTICE_MS = 3000;
const CATCH_UP_MS = 1500;
/** By then it has told the others what it renewed meanwhile. */
const TELL_MS = 5000;
/** What a gateway has heard from the provider it has told the others, and the browser has taken. */
const TOLD_MS = 2000;
/** A key that was not there is asked for again after 5 s, and after 10 s more. */
const KEYS_MS = 20_000;

/** @param now by the clock that everything here is told in */
export function createTroubles({ store, revocations }: Deployment, now: () => number): Troubles {
  const away: Outage[] = [];
  const spent = new Map<string, number>();
  /** Person → since when their refresh token may be spent without their session knowing, and why. */
  const atRisk = new Map<string, string>();
  let emptiedAt = 0;
  let keysAt = 0;
  /** Whoever was renewed since then may have been so in vain. */
  const risk = (since: number, why: string) => {
    for (const [subject, at] of spent) if (at >= since && !atRisk.has(subject)) atRisk.set(subject, why);
  };
  const lastOutage = () => away.at(-1);
  /** Since when a gateway may hold what it could not tell. */
  const untoldSince = () => {
    const last = lastOutage();
    const isRecent = last !== undefined && now() < last.until + TELL_MS;
    return (isRecent ? last.from : now()) - TOLD_MS;
  };
  /** @param unheard when it is in force after Redis fell silent before everybody had heard of it */
  const latest = (ackAt: number, unheard: (outage: Outage) => number) => {
    let at = ackAt + EVERYWHERE_MS;
    for (const outage of away) {
      const { from, until } = outage;
      if (from >= ackAt - TOLD_MS && from <= ackAt + EVERYWHERE_MS) at = Math.max(at, unheard(outage));
      // Where nobody insists on revocations, a gateway that does not know of this one lets the session in.
      if (revocations === 'best-effort' && until + CATCH_UP_MS > ackAt) at = Math.max(at, until + CATCH_UP_MS);
    }
    return at;
  };
  return {
    redis: (isEmptied) => {
      const outage = { from: now(), until: Number.POSITIVE_INFINITY };
      away.push(outage);
      if (away.length > 100) away.shift();
      return () => {
        outage.until = now();
        if (!isEmptied) return;
        emptiedAt = now();
        risk(outage.from - TOLD_MS, 'Redis forgot who was renewed');
      };
    },
    noteRefresh: (subject, what) => {
      spent.set(subject, now());
      if (what === 'lost') atRisk.set(subject, 'the answer with the new refresh token was lost');
    },
    noteKill: () => risk(untoldSince(), 'killed with the new refresh token'),
    noteEnd: () => {
      const last = lastOutage();
      if (last !== undefined && now() < last.until + TELL_MS) risk(untoldSince(), 'ended while Redis was away');
    },
    noteKeys: () => {
      keysAt = now();
    },
    mayBeSpentAgain: (subject) => atRisk.has(subject),
    mayBeGone: ({ subject, begunAt }) => {
      if (store === 'redis' && begunAt <= emptiedAt) return 'sessions were in the Redis that was emptied';
      return atRisk.get(subject);
    },
    inForceAt: (ackAt) => latest(ackAt, ({ from }) => from + NOTICE_MS),
    endsBy: (ackAt) => latest(ackAt, ({ until }) => until + CATCH_UP_MS),
    areKeysUnsettled: () => now() < keysAt + KEYS_MS,
  };
}
