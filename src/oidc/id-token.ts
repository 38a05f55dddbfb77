import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock, Seconds } from '../config/units.ts';
import type { Provider } from './provider.ts';

/** Of an ID token whose signature, issuer, audience and times were checked. */
export type IdTokenClaims = JWTPayload & { readonly sub: string; readonly exp: Seconds; readonly iat: Seconds };

/** Seconds of clock difference that are forgiven. */
export const leeway: Seconds = 60;

/** Signatures only: a MAC would be made with what the token's reader knows as well as its writer. */
export const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/**
 * Verifies an ID token, all but its nonce.
 *
 * @throws jose's errors when it must not be believed; {Failure} `keys_unreachable` when we could not tell
 * @see OpenID Connect Core §3.1.3.7
 */
export async function verifyIdToken(
  jwt: string,
  needs: { provider: Provider; clientId: string; now: Clock },
): Promise<IdTokenClaims> {
  const now = needs.now();
  const { payload } = await jwtVerify(jwt, needs.provider.keys, {
    issuer: needs.provider.issuer,
    audience: needs.clientId,
    algorithms,
    clockTolerance: leeway,
    currentDate: new Date(now),
    requiredClaims: ['sub', 'exp', 'iat'],
  });
  const { sub, exp, iat, azp } = payload;
  if (sub === undefined || exp === undefined || iat === undefined) throw new errors.JWTInvalid('a claim is missing');
  if (iat > now / 1000 + leeway) throw new errors.JWTExpired('issued in the future', payload, 'iat', 'check_failed');
  const isForSeveral = Array.isArray(payload.aud) && payload.aud.length > 1;
  if ((azp !== undefined || isForSeveral) && azp !== needs.clientId) {
    throw new errors.JWTClaimValidationFailed('authorized for another client', payload, 'azp', 'check_failed');
  }
  return { ...payload, sub, exp, iat };
}
