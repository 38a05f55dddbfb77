import type { Seconds } from '../config/units.ts';
import type { RejectionReason } from './authenticate.ts';
import type { Claims } from './identity.ts';

/** What an access token has to say to be for us. */
export interface TokenExpectations {
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  /** Seconds since the epoch. */
  readonly now: Seconds;
}

/** Why a token is no good, for the caller (`why`) and for the log (`because`: the claim or header at fault). */
export interface TokenFault {
  readonly why: Extract<RejectionReason, `token_${string}`>;
  readonly because: string;
  /** What stood there instead, for the operator; never the token. */
  readonly found?: unknown;
  readonly passing?: true;
}

/** Clock difference forgiven between us and the issuer. */
export const LEEWAY_S: Seconds = 60;

/** Later moments are no dates but mistakes (milliseconds for seconds). */
const MAX_MOMENT: Seconds = 100_000_000_000;

/** All asymmetric: a public key can never be mistaken for a shared secret. */
export const SIGNATURE_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** Headers that bring or point to a key, or change how the token is read: the key is the issuer's to name, not the token's. */
const FOREIGN_HEADERS = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'enc', 'zip'];

/** RFC 9068 §2.1; issuers that predate it say `JWT` or nothing. */
const ACCESS_TOKEN_TYPES = ['at+jwt', 'application/at+jwt', 'jwt'];

/** What only ID tokens (OpenID Connect Core §3.1.3.6, §3.3.2.11) and logout or event tokens (RFC 8417) carry. */
const FOREIGN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 'events'];

/** Finds fault with the header of a token, before its key is looked for. */
export function faultOfHeader(header: Readonly<Record<string, unknown>>): TokenFault | undefined {
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !SIGNATURE_ALGORITHMS.includes(alg)) return untrusted('alg', alg);
  const foreign = FOREIGN_HEADERS.find((name) => Object.hasOwn(header, name));
  if (foreign !== undefined) return untrusted(foreign);
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return malformed('kid');
  if (typ !== undefined && (typeof typ !== 'string' || !ACCESS_TOKEN_TYPES.includes(typ.toLowerCase())))
    return malformed('typ', typ);
  return undefined;
}

/**
 * Finds fault with the claims of an access token. Who it speaks of and what it allows are judged elsewhere.
 *
 * @see RFC 7519 §4.1, RFC 9068 §4, with {@link LEEWAY_S} on every moment
 */
export function faultOfClaims(claims: Claims, expected: TokenExpectations): TokenFault | undefined {
  const foreign = FOREIGN_CLAIMS.find((name) => Object.hasOwn(claims, name));
  if (foreign !== undefined) return malformed(foreign);
  const use = faultOfUse(claims);
  if (use !== undefined) return use;
  if (typeof claims.iss !== 'string') return malformed('iss');
  if (claims.iss !== expected.issuer) return untrusted('iss', claims.iss);
  return faultOfAudience(claims.aud, expected.audiences) ?? faultOfTimes(claims, expected.now);
}

/** What Keycloak calls tokens that are no access tokens, in the claim (not the header) `typ`. */
const FOREIGN_USES = ['id', 'refresh', 'offline', 'logout'];

/** Tokens that are for something else by their own word, or for whoever has a certain key (RFC 7800 §3.1): no bearer's. */
function faultOfUse({ cnf, token_use: use, typ }: Claims): TokenFault | undefined {
  if (cnf !== undefined) return untrusted('cnf');
  const isAccess = use === undefined || (typeof use === 'string' && /^access(?:_token)?$/i.test(use));
  if (!isAccess) return untrusted('token_use', use);
  const isForeign = typeof typ === 'string' && FOREIGN_USES.includes(typ.toLowerCase());
  return isForeign ? untrusted('typ', typ) : undefined;
}

function faultOfAudience(aud: unknown, audiences: ReadonlySet<string>): TokenFault | undefined {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (named.length === 0 || !named.every((one) => typeof one === 'string')) return malformed('aud');
  return named.some((one) => audiences.has(one)) ? undefined : untrusted('aud', aud);
}

function faultOfTimes(claims: Claims, now: Seconds): TokenFault | undefined {
  const { exp, nbf, iat } = claims;
  if (!isMoment(exp)) return malformed('exp', exp);
  if (nbf !== undefined && !isMoment(nbf)) return malformed('nbf', nbf);
  if (iat !== undefined && !isMoment(iat)) return malformed('iat', iat);
  if (exp <= now - LEEWAY_S) return { why: 'token_expired', because: 'exp', found: exp };
  const early = { nbf, iat };
  for (const [because, moment] of Object.entries(early)) {
    if (moment !== undefined && moment > now + LEEWAY_S)
      return { why: 'token_expired', because, found: moment, passing: true };
  }
  return undefined;
}

function isMoment(value: unknown): value is Seconds {
  return typeof value === 'number' && value > 0 && value < MAX_MOMENT;
}

function malformed(because: string, found?: unknown): TokenFault {
  return { why: 'token_malformed', because, found };
}

function untrusted(because: string, found?: unknown): TokenFault {
  return { why: 'token_untrusted', because, found };
}
