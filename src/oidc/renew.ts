import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { handleOf } from '../session/marks.ts';
import type { PersonClaims, Session } from '../session/session.ts';
import type { Client, Tokens } from './client.ts';
import type { Coordination } from './coordination.ts';
import { followClaims } from './followed-claims.ts';
import { createLineages, type Lineage, type Lineages, type Renewal } from './lineage.ts';
import { sessionTimes } from './session-times.ts';
import { troubleOf } from './trouble.ts';

export type { Renewal } from './lineage.ts';

export interface Renewer {
  /**
   * Renews a session, once however many ask and whoever of them goes away. Whoever comes later with an older form of the
   * session gets the result of then: a refresh token is never used a second time. Never throws.
   */
  renew(session: Session): Promise<Renewal>;
  /** The newest form of a session that is known here or to other replicas, after a renewal under way here. Never throws. */
  latest(session: Session): Promise<Session>;
  /** Waits for renewals under way: what they bring must not be lost with the process. Never throws. */
  settled(): Promise<void>;
}

export interface RenewNeeds {
  readonly client: Client;
  /** With whom sessions are shared. */
  readonly coordination: Coordination;
  /** Further claims to keep. */
  readonly claims: readonly string[];
  readonly now: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A no is not asked for again so soon. */
const refusedMs: Millis = 60_000;

/** Renewals in this process: one at a time per session, and a pause for all of them while the provider does not answer. */
export function createRenew(needs: RenewNeeds): Renewer {
  const lineages = createLineages(needs);
  const outage = createOutage(needs.now);
  const flights = new Set<Promise<Renewal>>();
  return {
    renew: async (session) => {
      if (session.refreshToken === undefined) return failure('the session has no refresh token');
      // Its refresh token is another provider's secret.
      if (session.issuer !== needs.client.issuer) return { kind: 'refused' };
      const lineage = lineages.of(session, session.refreshToken);
      // One refresh token in the hands of two sessions: neither of them is renewed by the other's.
      if (!lineage) return { kind: 'refused' };
      const known = atHand(lineage, session, needs.now()) ?? lineage.flight ?? outage.answer();
      if (known) return seenLike(await known, session);
      const flight = fly(lineage, { ...needs, lineages, outage });
      lineage.flight = flight;
      flights.add(flight);
      return seenLike(await flight.finally(() => flights.delete(flight)), session);
    },
    latest: async (session) => {
      const lineage = lineages.find(session);
      await lineage?.flight;
      return needs.coordination.newest(lineage?.latest ?? session);
    },
    settled: async () => {
      await Promise.all(flights);
    },
  };
}

/** The answer that needs no asking: what a straggler missed, or a pause after a no or a failure. */
function atHand(lineage: Lineage, session: Session, now: Millis): Renewal | undefined {
  if (lineage.flight) return undefined;
  // Renewed by another process under the same refresh token: ours is the older form.
  const isSameToken = lineage.latest.refreshToken === session.refreshToken;
  if (isSameToken && session.accessExpiresAt > lineage.latest.accessExpiresAt) lineage.latest = session;
  const { latest, pause } = lineage;
  const isStraggler = !isSameToken || latest.accessExpiresAt > session.accessExpiresAt;
  if (isStraggler && now < (latest.renewAt ?? latest.accessExpiresAt)) return { kind: 'renewed', session: latest };
  return pause && now < pause.until ? pause.answer : undefined;
}

type Flying = RenewNeeds & { readonly lineages: Lineages; readonly outage: Outage };

async function fly(lineage: Lineage, needs: Flying): Promise<Renewal> {
  let isOurs = false;
  const renewal = await needs.coordination.once(lineage.latest, () => {
    isOurs = true;
    return ask(lineage.latest, needs);
  });
  const session = handleOf(lineage.latest.id);
  lineage.failures = renewal.kind === 'failed' ? lineage.failures + 1 : 0;
  delete lineage.pause;
  switch (renewal.kind) {
    case 'renewed':
      lineage.latest = renewal.session;
      needs.log.debug(isOurs ? 'renewal.finished' : 'renewal.learned', { session });
      break;
    case 'refused':
      lineage.pause = { until: needs.now() + refusedMs, answer: renewal };
      needs.log.info('renewal.refused', { session });
      break;
    case 'failed':
      lineage.pause = { until: needs.now() + backOff(lineage.failures), answer: renewal };
      needs.log.warn('renewal.failed', { session, cause: renewal.cause });
  }
  // No answer at all is everybody's business; an answer of no use may be about this session only.
  if (isOurs) {
    needs.outage.note(renewal.kind === 'failed' && renewal.cause.code !== 'renewal_failed' ? renewal : undefined);
    needs.metrics.renewal(renewal.kind);
  }
  needs.lineages.remember(lineage);
  delete lineage.flight;
  return renewal;
}

async function ask(session: Session, needs: RenewNeeds): Promise<Renewal> {
  const askedAt = needs.now();
  try {
    const tokens = await needs.client.refresh(session.refreshToken ?? '');
    const cameAt = needs.now();
    const followed = await followClaims(session, tokens, askedAt, needs);
    if (followed.kind === 'somebody-else') return { kind: 'refused' };
    return { kind: 'renewed', session: renewed(session, tokens, followed.claims, cameAt) };
  } catch (error) {
    const trouble = troubleOf(error);
    switch (trouble.kind) {
      case 'unreachable':
        return { kind: 'failed', cause: trouble.cause };
      case 'refused':
        return trouble.error === 'invalid_grant' ? { kind: 'refused' } : failure(`the provider said ${trouble.error}`);
      case 'invalid':
        return failure(trouble.why);
      case 'subject':
        return failure('the answer is about somebody else');
    }
  }
}

function renewed(old: Session, tokens: Tokens, claims: PersonClaims, now: Millis): Session {
  const { expiresIn, idToken } = tokens;
  const refreshToken = tokens.refreshToken ?? old.refreshToken;
  const known = refreshToken === undefined ? {} : { refreshToken };
  // A session that keeps one goes on keeping the newest.
  const kept = old.accessToken === undefined ? {} : { accessToken: tokens.accessToken };
  const lifetime = {
    ...(expiresIn === undefined ? {} : { expiresIn }),
    ...(idToken === undefined ? {} : { idTokenExp: idToken.claims.exp }),
  };
  return { ...old, ...sessionTimes({ ...lifetime, ...known }, now), claims, ...known, ...kept };
}

/** Each caller's own idle time goes on: the later of both sightings. */
function seenLike(renewal: Renewal, session: Session): Renewal {
  if (renewal.kind !== 'renewed') return renewal;
  return { kind: 'renewed', session: { ...renewal.session, seenAt: Math.max(renewal.session.seenAt, session.seenAt) } };
}

/** While the provider does not answer, nobody asks: 1, 2, 4, then 5 s at a time. */
interface Outage {
  note(failed: Renewal | undefined): void;
  answer(): Renewal | undefined;
}

function createOutage(now: Clock): Outage {
  let failures = 0;
  let current: { readonly until: Millis; readonly answer: Renewal } | undefined;
  return {
    note: (answer) => {
      failures = answer ? failures + 1 : 0;
      current = answer ? { until: now() + backOff(failures), answer } : undefined;
    },
    answer: () => (current && now() < current.until ? current.answer : undefined),
  };
}

function backOff(failures: number): Millis {
  return Math.min(1000 * 2 ** (failures - 1), 5000);
}

function failure(why: string): Renewal {
  return { kind: 'failed', cause: new Failure('renewal_failed', why) };
}
