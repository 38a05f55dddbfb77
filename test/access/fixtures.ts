import type { Identity } from '../../src/authenticate/identity.ts';
import type { Metrics } from '../../src/observe/metrics.ts';
import { HOUR, T0 } from '../session/fixtures.ts';

/** A person with a session. */
export function person(changes: Partial<Identity> = {}): Identity {
  return {
    issuer: 'https://id.example.com',
    subject: 'user-1',
    kind: 'person',
    email: 'ming@example.com',
    emailVerified: true,
    groups: ['admins'],
    scopes: [],
    claims: {},
    session: { handle: 'session-1', issuer: 'https://id.example.com', subject: 'user-1', startedAt: T0 },
    expiresAt: T0 + HOUR,
    ...changes,
  };
}

/** An app with a bearer token of scope `all`. */
export function app(changes: Partial<Identity> = {}): Identity {
  const { session: _session, email: _email, ...rest } = person();
  return {
    ...rest,
    kind: 'app',
    subject: 'service',
    clientId: 'service',
    emailVerified: false,
    scopes: ['all'],
    ...changes,
  };
}

type DecisionOutcome = Parameters<Metrics['decision']>[0];

/** Counts of decisions by outcome. */
export function createCounts() {
  const counts: Partial<Record<DecisionOutcome, number>> = {};
  const decision = (outcome: DecisionOutcome) => {
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  };
  return { counts, metrics: { decision } };
}
