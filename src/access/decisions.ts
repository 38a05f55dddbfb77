import type { Authenticate, Authentication, Provable } from '../authenticate/authenticate.ts';
import type { Credential } from '../authenticate/credential.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Revocations } from '../session/revocations.ts';
import { createCredentialKeys, mayBeKept } from './credential-key.ts';
import type { Decision } from './decision.ts';
import { createDecisionCache, type DecisionCache } from './decision-cache.ts';
import { judge, type Rule } from './policy.ts';

export interface DecisionNeeds {
  readonly authenticate: Authenticate;
  readonly revocations: Pick<Revocations, 'isRevoked' | 'cannotTell'>;
  readonly cache: {
    readonly maxAgeMs: Millis;
    readonly maxEntries: number;
    readonly maxBytes: number;
    readonly isFixed?: boolean;
  };
  /** Issuers whose tokens must have another scope than the rule says. */
  readonly issuerScopes?: ReadonlyMap<string, string>;
  readonly metrics: Pick<Metrics, 'decision'>;
  readonly log: Log;
  readonly now: Clock;
}

export interface Decisions {
  /**
   * Decides what a credential may do under a rule: at once when it is remembered, else by proof. Never throws, never
   * rejects. A request refused with 400 is answered before it comes to a decision; here it is a no like any other.
   *
   * @param connection what the request came in on: its next request most likely brings the same credential
   * @param address    of the caller, by which failed tries are limited; those without one share a limit
   */
  decide(credential: Credential, rule: Rule, connection: object, address?: string): Decision | Promise<Decision>;
  /** More is kept elsewhere with an identity that was decided about, and counts with it: as many bytes, or fewer. */
  grow(identity: Identity, bytes: number): void;
}

/**
 * Decides, and remembers what was decided.
 *
 * Revocations are asked before any allow of a session is used, remembered or new. A credential that is being looked up is
 * looked up once, whoever else comes with it and whoever goes away. "Could not tell" is never remembered, nor is a no that
 * the next moment may overturn.
 */
export function createDecisions(needs: DecisionNeeds): Decisions {
  const cache = createDecisionCache({ ...needs.cache, now: needs.now });
  const keys = createCredentialKeys();
  // Bounded by the requests that are open; every look-up has a deadline of its own, and leaves when it ends.
  const underWay = new Map<string, Promise<Decision>>();
  const lookUp = (asked: Asked): Promise<Decision> => {
    const decision = proveAndJudge(asked, needs, cache).finally(() => underWay.delete(asked.key));
    underWay.set(asked.key, decision);
    return decision;
  };
  return {
    grow: cache.grow,
    decide(credential, rule, connection, address = '') {
      if (credential.kind === 'none' || credential.kind === 'refused') return count(refuseUnproved(credential), needs);
      const key = keys.of(credential, rule.name, connection);
      const known = cache.get(key);
      if (known) {
        needs.metrics.decision('hit');
        const decision = standing(known, { key, cache, needs });
        if (decision.kind === 'allow' && mayBeKept(credential, decision.bearer))
          keys.keep(key, credential, rule.name, connection);
        return count(decision, needs);
      }
      const shared = underWay.get(key);
      needs.metrics.decision(shared ? 'hit' : 'miss');
      return (shared ?? lookUp({ key, credential, rule, address })).then((decision) => count(decision, needs));
    },
  };
}

const NOTHING_CAME: Decision = { kind: 'sign-in', why: 'credential_missing', clearCookie: false };
const REVOKED = { kind: 'sign-in', why: 'session_revoked', clearCookie: true } as const;

function refuseUnproved(credential: Extract<Credential, { kind: 'none' | 'refused' }>): Decision {
  if (credential.kind === 'none') return NOTHING_CAME;
  // A header given twice is two credentials that may differ.
  if (credential.why === 'header_repeated') return { kind: 'sign-in', why: 'credentials_differ', clearCookie: false };
  return { kind: 'sign-in', why: credential.why, clearCookie: credential.why === 'session_unreadable' };
}

/** A remembered decision, unless its session was signed out since. */
function standing(known: Decision, at: { key: string; cache: DecisionCache; needs: DecisionNeeds }): Decision {
  if (!isRevoked(known, at.needs)) return unlessUntold(known, at.needs);
  at.cache.forget(at.key);
  return REVOKED;
}

function isRevoked(decision: Decision, needs: DecisionNeeds): boolean {
  if (decision.kind !== 'allow' || decision.identity.session === undefined) return false;
  return needs.revocations.isRevoked(decision.identity.session);
}

/** Settings may have sessions refused for as long as nobody knows who was signed out elsewhere. */
function unlessUntold(decision: Decision, { revocations }: DecisionNeeds): Decision {
  if (decision.kind !== 'allow' || decision.identity.session === undefined) return decision;
  const cause = revocations.cannotTell?.();
  return cause ? { kind: 'unavailable', cause } : decision;
}

interface Asked {
  readonly key: string;
  readonly credential: Provable;
  readonly rule: Rule;
  readonly address: string;
}

async function proveAndJudge(asked: Asked, needs: DecisionNeeds, cache: DecisionCache): Promise<Decision> {
  const authentication = await proveSafely(asked, needs.authenticate);
  const decision = toDecision(authentication, asked.rule, needs);
  // A sign-out during the proof wins over it.
  if (isRevoked(decision, needs)) return REVOKED;
  if (decision.kind === 'allow') cache.allow(asked.key, decision);
  else if (decision.kind !== 'unavailable' && !isPassing(authentication)) cache.refuse(asked.key, decision);
  return unlessUntold(decision, needs);
}

async function proveSafely({ credential, address }: Asked, authenticate: Authenticate): Promise<Authentication> {
  try {
    return await authenticate(credential, address);
  } catch (cause) {
    // Safe: whatever went wrong, nothing was proved, and "could not tell" lets nobody in.
    const failure = cause instanceof Failure ? cause : new Failure('internal', 'the proof itself failed', { cause });
    return { kind: 'unavailable', cause: failure };
  }
}

function isPassing(authentication: Authentication): boolean {
  return authentication.kind === 'rejected' && authentication.passing === true;
}

function toDecision(authentication: Authentication, rule: Rule, needs: DecisionNeeds): Decision {
  switch (authentication.kind) {
    case 'unavailable':
      return authentication;
    case 'rejected':
      return { kind: 'sign-in', why: authentication.why, clearCookie: authentication.why.startsWith('session_') };
    case 'proven':
      return judgeProven(authentication, rule, needs);
  }
}

function judgeProven(proven: Extract<Authentication, { kind: 'proven' }>, rule: Rule, needs: DecisionNeeds): Decision {
  const { identity, renewedCookie, bearer } = proven;
  const accessToken = bearer?.kind === 'obtained' ? bearer.accessToken : proven.accessToken;
  const verdict = judge(identity, ruleOf(identity, rule, needs));
  if (verdict.kind === 'deny') {
    const { clientId, scopes } = identity;
    needs.log.info('decision.denied', {
      why: verdict.why,
      missing: verdict.missing,
      issuer: identity.issuer,
      rule: rule.name,
      clientId,
      scopes,
    });
    return { kind: 'deny', why: verdict.why, missing: verdict.missing };
  }
  const until = Math.min(proven.until, needs.now() + needs.cache.maxAgeMs);
  return {
    kind: 'allow',
    identity,
    until,
    ...(renewedCookie === undefined ? {} : { renewedCookie }),
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(bearer === undefined ? {} : { bearer }),
  };
}

/** The rule of a place as it stands for tokens of an issuer that has a scope of its own. */
function ruleOf({ issuer, session }: Identity, rule: Rule, { issuerScopes }: DecisionNeeds): Rule {
  const bearerScope = session === undefined ? issuerScopes?.get(issuer) : undefined;
  return bearerScope === undefined ? rule : { ...rule, bearerScope };
}

function count(decision: Decision, needs: DecisionNeeds): Decision {
  needs.metrics.decision(OUTCOMES[decision.kind]);
  return decision;
}

const OUTCOMES = { allow: 'allowed', 'sign-in': 'refused', deny: 'refused', unavailable: 'unavailable' } as const;
