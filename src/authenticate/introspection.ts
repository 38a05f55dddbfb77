import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { AuthenticateBearer, Authentication } from './authenticate.ts';
import type { Enter } from './enter.ts';
import type { IdentitySettings } from './identity.ts';
import { proveClaims, rejectToken } from './token-proof.ts';

/** What the issuer says of an opaque token. */
export type Introspected =
  | { readonly kind: 'active'; readonly issuer: string; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'unavailable'; readonly cause: Failure };

export interface IntrospectionNeeds {
  /** Asks the issuer (RFC 7662). Has a deadline; never throws. */
  readonly introspect: (token: string) => Promise<Introspected>;
  readonly audiences: ReadonlySet<string>;
  readonly identity: IdentitySettings;
  /** An answer is used for so long at most, and never past `exp`. */
  readonly maxAgeMs: Millis;
  readonly enter: Enter;
  readonly metrics: Pick<Metrics, 'introspection'>;
  readonly log: Log;
  readonly now: Clock;
}

/** Answers kept, by number and by their JSON's length. */
const MAX_ANSWERS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;

interface Kept {
  readonly issuer: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly until: Millis;
}

/**
 * Proves an opaque access token by what its issuer says of it, under the same rules as a JWT: issuer, audience, times and
 * bearer are judged anew on every use of an answer. An `iss` may be missing: it is the issuer that speaks.
 *
 * "No" is remembered by the decision cache; here only answers that say yes. One question at a time for one token.
 * Unknown tokens beyond the limits are "could not tell", since they may be good.
 */
export function createAuthenticateOpaque(needs: IntrospectionNeeds): AuthenticateBearer {
  const answers = new LRUCache<string, Kept>({ max: MAX_ANSWERS, maxSize: MAX_BYTES });
  // As many as are under way or wait to be, which has a bound.
  const underWay = new Map<string, Promise<Kept | Authentication>>();
  return async (token, address) => {
    const digest = hash('sha256', token, 'base64url');
    const kept = answers.get(digest);
    if (kept && needs.now() < kept.until) return prove(kept, needs);
    let asking = underWay.get(digest);
    if (!asking) {
      asking = ask(token, address, needs).finally(() => underWay.delete(digest));
      underWay.set(digest, asking);
    }
    const answer = await asking;
    if ('kind' in answer) return answer;
    answers.set(digest, answer, { size: JSON.stringify(answer.claims).length + 500 });
    return prove(answer, needs);
  };
}

async function ask(token: string, address: string, needs: IntrospectionNeeds): Promise<Kept | Authentication> {
  const begun = await needs.enter({ address });
  if (begun.kind !== 'go') return limited(needs, begun.kind === 'refused' ? begun.by : 'all');
  let outcome: 'succeeded' | 'failed' | 'unknown' = 'unknown';
  try {
    const said = await needs.introspect(token);
    switch (said.kind) {
      case 'unavailable':
        needs.metrics.introspection('unavailable');
        needs.log.warn('introspection.failed', { cause: said.cause });
        return said;
      case 'inactive':
        outcome = 'failed';
        needs.metrics.introspection('refused');
        return rejectToken(needs.log, { why: 'token_untrusted', because: 'inactive' });
      case 'active':
        outcome = 'succeeded';
        needs.metrics.introspection('active');
        return { issuer: said.issuer, claims: said.claims, until: needs.now() + needs.maxAgeMs };
    }
  } finally {
    begun.end(outcome);
  }
}

function prove({ issuer, claims, until }: Kept, needs: IntrospectionNeeds): Authentication {
  if (!isBearerToken(claims)) return rejectToken(needs.log, { why: 'token_untrusted', because: 'token_type' });
  const expected = { issuer, audiences: needs.audiences, now: needs.now() / 1000 };
  const proof = proveClaims({ iss: issuer, ...claims }, expected, needs);
  return proof.kind === 'proven' ? { ...proof, until: Math.min(proof.until, until) } : proof;
}

/** Refresh tokens and ID tokens are active too, and no bearer access tokens. */
function isBearerToken({ token_type: type }: Readonly<Record<string, unknown>>): boolean {
  return type === undefined || (typeof type === 'string' && /^(?:bearer|access_token)$/i.test(type));
}

function limited(needs: IntrospectionNeeds, by: string): Authentication {
  needs.metrics.introspection('limited');
  needs.log.debug('introspection.limited', { by });
  return { kind: 'unavailable', cause: new Failure('introspection_limited', `too many unknown tokens, by ${by}`) };
}
