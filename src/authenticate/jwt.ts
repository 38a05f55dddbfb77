import { type CryptoKey, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Authentication } from './authenticate.ts';
import type { IdentitySettings } from './identity.ts';
import {
  faultOfClaims,
  faultOfHeader,
  LEEWAY_S,
  SIGNATURE_ALGORITHMS,
  type TokenExpectations,
  type TokenFault,
} from './token-claims.ts';
import { readTokenForm } from './token-form.ts';
import { audiencesOf, proveClaims, rejectToken } from './token-proof.ts';

export interface TokenNeeds {
  /** The key that a token names. @throws {Failure} when it could not be asked for; jose's errors when there is none */
  readonly keys: JWTVerifyGetKey;
  /** The issuer that tokens must name, exactly. @throws {Failure} when it cannot be told now */
  readonly issuer: () => Promise<string>;
  /** Origins without a default port or trailing slash. */
  readonly authorizedUris: readonly string[];
  readonly allowedAudience: readonly string[];
  /** The failure while the issuer is out of reach, so that nobody could get a new token now; without it that is not asked. */
  readonly outage?: () => Promise<Failure | undefined>;
  readonly identity: IdentitySettings;
  readonly log: Log;
  readonly now: Clock;
}

/**
 * Proves a JWT access token (RFC 9068 §4 and, where issuers predate it, flyteadmin's rules): signed by the issuer's keys with
 * an asymmetric algorithm, from that issuer, for one of our audiences, alive within 60 s of clock difference.
 *
 * An audience is ours when it is an allowed one exactly, or an authorized URI, with or without its default port and a
 * trailing slash. Everything that can be judged without a key is judged before one is looked for. `until` is the moment of
 * `exp` itself: what lives on leeway is proved each time.
 *
 * A token that has expired while its issuer is out of reach is "could not tell": whoever is told that it is bad would renew it
 * now, fail, and throw away what it could be renewed with once the issuer is back. Flyte's SDK does.
 */
export function createAuthenticateToken(needs: TokenNeeds): (token: string) => Promise<Authentication> {
  const audiences = audiencesOf(needs);
  return async (token) => {
    const form = readTokenForm(token);
    if (!form) return rejectToken(needs.log, { why: 'token_malformed', because: 'form' });
    const headerFault = faultOfHeader(form.header);
    if (headerFault) return rejectToken(needs.log, headerFault);
    try {
      const expected = { issuer: await needs.issuer(), audiences, now: needs.now() / 1000 };
      const fault = faultOfClaims(form.claims, expected);
      if (fault) return await refuse(fault, needs);
      const claims = await verify(token, needs.keys, expected);
      // Judged once more, on the claims that were signed.
      const proven = proveClaims(claims, expected, needs);
      return proven.kind === 'proven' ? { ...proven, bearer: { kind: 'as-sent' } } : proven;
    } catch (cause) {
      return judgeError(cause, needs.log);
    }
  };
}

async function refuse(fault: TokenFault, { outage, log }: TokenNeeds): Promise<Authentication> {
  const cause = fault.because === 'exp' && fault.why === 'token_expired' ? await outage?.() : undefined;
  return cause === undefined ? rejectToken(log, fault) : { kind: 'unavailable', cause };
}

async function verify(token: string, keys: JWTVerifyGetKey, expected: TokenExpectations): Promise<JWTPayload> {
  const options = {
    algorithms: [...SIGNATURE_ALGORITHMS],
    issuer: expected.issuer,
    clockTolerance: LEEWAY_S,
    currentDate: new Date(expected.now * 1000),
    requiredClaims: ['exp', 'aud'],
  };
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (cause) {
    if (!(cause instanceof errors.JWKSMultipleMatchingKeys)) throw cause;
    return verifyWithEach(cause, (key) => jwtVerify(token, key, options));
  }
}

/** A token without a kid may be signed by any of the issuer's keys; more than so many are not tried. */
const MAX_KEYS_TRIED = 8;

async function verifyWithEach(
  candidates: errors.JWKSMultipleMatchingKeys,
  verifyWith: (key: CryptoKey) => Promise<{ payload: JWTPayload }>,
): Promise<JWTPayload> {
  let tried = 0;
  for await (const key of candidates) {
    if (++tried > MAX_KEYS_TRIED) break;
    try {
      return (await verifyWith(key)).payload;
    } catch (cause) {
      // Safe: only a signature by another key goes on to the next one.
      if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

function judgeError(cause: unknown, log: Log): Authentication {
  if (cause instanceof Failure) return { kind: 'unavailable', cause };
  if (cause instanceof errors.JWKSNoMatchingKey)
    return rejectToken(log, { why: 'token_untrusted', because: 'kid', passing: true });
  // jose throws a TypeError for a key that cannot have made such a signature (another curve, too few bits).
  if (cause instanceof errors.JOSEError || cause instanceof TypeError)
    return rejectToken(log, { why: 'token_untrusted', because: 'signature' });
  return { kind: 'unavailable', cause: new Failure('internal', 'a token could not be judged', { cause }) };
}
