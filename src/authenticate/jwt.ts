import { type CryptoKey, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Authentication } from './authenticate.ts';
import { type Claims, type IdentitySettings, identityOfToken } from './identity.ts';
import { readTokenBearer } from './token-bearer.ts';
import {
  faultOfClaims,
  faultOfHeader,
  LEEWAY_S,
  SIGNATURE_ALGORITHMS,
  type TokenExpectations,
  type TokenFault,
} from './token-claims.ts';
import { readTokenForm } from './token-form.ts';

export interface TokenNeeds {
  /** The key that a token names. @throws {Failure} when it could not be asked for; jose's errors when there is none */
  readonly keys: JWTVerifyGetKey;
  /** The issuer that tokens must name, exactly. @throws {Failure} when it cannot be told now */
  readonly issuer: () => Promise<string>;
  /** Origins without a default port or trailing slash. */
  readonly authorizedUris: readonly string[];
  readonly allowedAudience: readonly string[];
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
 */
export function createAuthenticateToken(needs: TokenNeeds): (token: string) => Promise<Authentication> {
  const audiences = new Set([...needs.authorizedUris.flatMap(spellings), ...needs.allowedAudience]);
  return async (token) => {
    const form = readTokenForm(token);
    if (!form) return reject(needs.log, { why: 'token_malformed', because: 'form' });
    const headerFault = faultOfHeader(form.header);
    if (headerFault) return reject(needs.log, headerFault);
    try {
      const expected = { issuer: await needs.issuer(), audiences, now: needs.now() / 1000 };
      const fault = faultOfClaims(form.claims, expected);
      if (fault) return reject(needs.log, fault);
      return prove(await verify(token, needs.keys, expected), expected, needs);
    } catch (cause) {
      return judgeError(cause, needs.log);
    }
  };
}

/** As issuers write one origin: `https://a`, `https://a/`, `https://a:443`, `https://a:443/`. */
function spellings(origin: string): readonly string[] {
  const bare = origin.replace(/\/$/, '');
  const defaultPort = bare.startsWith('https:') ? 443 : 80;
  const hasPort = /:\d+$/.test(bare);
  const withPort = hasPort ? [] : [`${bare}:${defaultPort}`, `${bare}:${defaultPort}/`];
  return [bare, `${bare}/`, ...withPort];
}

function prove(claims: Claims, expected: TokenExpectations, needs: TokenNeeds): Authentication {
  // Judged once more, on the claims that were signed.
  const fault = faultOfClaims(claims, expected);
  if (fault) return reject(needs.log, fault);
  const bearer = readTokenBearer(claims);
  if ('fault' in bearer) return reject(needs.log, { why: 'token_malformed', because: bearer.fault });
  const expiresAt = Number(claims.exp) * 1000;
  const proof = { ...bearer, issuer: expected.issuer, expiresAt };
  return { kind: 'proven', identity: identityOfToken(claims, proof, needs.identity), until: expiresAt };
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
    return reject(log, { why: 'token_untrusted', because: 'kid', passing: true });
  // jose throws a TypeError for a key that cannot have made such a signature (another curve, too few bits).
  if (cause instanceof errors.JOSEError || cause instanceof TypeError)
    return reject(log, { why: 'token_untrusted', because: 'signature' });
  return { kind: 'unavailable', cause: new Failure('internal', 'a token could not be judged', { cause }) };
}

function reject(log: Log, fault: TokenFault): Authentication {
  const { why, because, found, passing } = fault;
  const facts = found === undefined ? { why, because } : { why, because, found: shorten(found) };
  // What is not even a token is noise that anybody can make; the rest tells an operator what to put right.
  if (because === 'form') log.debug('token.rejected', facts);
  else log.info('token.rejected', facts);
  return passing ? { kind: 'rejected', why, passing } : { kind: 'rejected', why };
}

function shorten(found: unknown): string {
  return (JSON.stringify(found) ?? '').slice(0, 200);
}
