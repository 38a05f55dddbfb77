import type { Log } from '../observe/log.ts';
import type { Authentication } from './authenticate.ts';
import { type Claims, type IdentitySettings, identityOfToken } from './identity.ts';
import { readTokenBearer } from './token-bearer.ts';
import { faultOfClaims, type TokenExpectations, type TokenFault } from './token-claims.ts';

/**
 * The audiences that tokens may be for: the allowed ones exactly, and the authorized URIs, with or without their default
 * port and a trailing slash.
 *
 * @param of.authorizedUris origins without a default port or trailing slash
 */
export function audiencesOf(of: {
  readonly authorizedUris: readonly string[];
  readonly allowedAudience: readonly string[];
}): ReadonlySet<string> {
  return new Set([...of.authorizedUris.flatMap(spellings), ...of.allowedAudience]);
}

/**
 * Whom the claims of an access token prove, once its issuer's word for them is certain (a signature, or the answer of its
 * introspection endpoint). `until` is the moment of `exp` itself: what lives on leeway is proved each time.
 */
export function proveClaims(
  claims: Claims,
  expected: TokenExpectations,
  needs: { readonly identity: IdentitySettings; readonly log: Log },
): Authentication {
  const fault = faultOfClaims(claims, expected);
  if (fault) return rejectToken(needs.log, fault);
  const bearer = readTokenBearer(claims);
  if ('fault' in bearer) return rejectToken(needs.log, { why: 'token_malformed', because: bearer.fault });
  const expiresAt = Number(claims.exp) * 1000;
  const proof = { ...bearer, issuer: expected.issuer, expiresAt };
  return { kind: 'proven', identity: identityOfToken(claims, proof, needs.identity), until: expiresAt };
}

/** A no to a token, told to the operator with what is wrong; never with the token. */
export function rejectToken(log: Log, fault: TokenFault): Authentication {
  const { why, because, found, passing } = fault;
  // From the future: no token is made so, unless clocks differ.
  const hint = because === 'iat' || because === 'nbf' ? { hint: CLOCK_HINT } : {};
  const facts = found === undefined ? { why, because } : { why, because, found: shorten(found), ...hint };
  // What is not even a token is noise that anybody can make; the rest tells an operator what to put right.
  if (because === 'form') log.debug('token.rejected', facts);
  else log.info('token.rejected', facts);
  return passing ? { kind: 'rejected', why, passing } : { kind: 'rejected', why };
}

const CLOCK_HINT = 'compare the clocks of this machine and of the issuer: over a minute is not forgiven';

function shorten(found: unknown): string {
  return (JSON.stringify(found) ?? '').slice(0, 200);
}

/** As issuers write one origin: `https://a`, `https://a/`, `https://a:443`, `https://a:443/`. */
function spellings(origin: string): readonly string[] {
  const bare = origin.replace(/\/$/, '');
  const defaultPort = bare.startsWith('https:') ? 443 : 80;
  const hasPort = /:\d+$/.test(bare);
  const withPort = hasPort ? [] : [`${bare}:${defaultPort}`, `${bare}:${defaultPort}/`];
  return [bare, `${bare}/`, ...withPort];
}
