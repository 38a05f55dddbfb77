import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Clock, Seconds } from '../config/units.ts';
import { algorithms, leeway } from './id-token.ts';
import type { Provider } from './provider.ts';

/** Whom the provider signed out, proved. At least one of `sub` and `sid` is there. */
export interface LogoutToken {
  /** Names the token, once. */
  readonly jti: string;
  readonly issuedAt: Seconds;
  readonly expiresAt: Seconds;
  readonly sub?: string;
  readonly sid?: string;
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** `JWT` and nothing at all are what providers wrote before the type was registered. */
const TYPES = ['logout+jwt', 'application/logout+jwt', 'jwt'];
const LONGEST_NAME = 255;

/**
 * Verifies a logout token, all but that it comes for the first time.
 *
 * @throws jose's errors when it must not be believed; {Failure} `keys_unreachable` when we could not tell
 * @see OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6
 */
export async function verifyLogoutToken(
  jwt: string,
  needs: { provider: Provider; clientId: string; now: Clock },
): Promise<LogoutToken> {
  const now = needs.now();
  const { payload, protectedHeader } = await jwtVerify(jwt, needs.provider.keys, {
    issuer: needs.provider.issuer,
    audience: needs.clientId,
    algorithms,
    clockTolerance: leeway,
    currentDate: new Date(now),
    requiredClaims: ['iat', 'exp', 'jti', 'events'],
  });
  const { iat = 0, exp = 0 } = payload;
  const { typ } = protectedHeader;
  if (typ !== undefined && !TYPES.includes(typ.toLowerCase()))
    throw new errors.JWTInvalid('not of a logout token’s type');
  if (iat > now / 1000 + leeway) throw new errors.JWTExpired('issued in the future', payload, 'iat', 'check_failed');
  // What tells it from an ID token, both ways.
  if ('nonce' in payload) throw fault(payload, 'nonce');
  if (!isLogout(payload['events'])) throw fault(payload, 'events');
  const [jti, sub, sid] = [nameIn(payload, 'jti'), nameIn(payload, 'sub'), nameIn(payload, 'sid')];
  if (jti === undefined) throw fault(payload, 'jti');
  if (sub === undefined && sid === undefined) throw fault(payload, 'sub');
  const times = { jti, issuedAt: iat, expiresAt: exp };
  return { ...times, ...(sub !== undefined && { sub }), ...(sid !== undefined && { sid }) };
}

function isLogout(events: unknown): boolean {
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, EVENT)) return false;
  const event: unknown = Reflect.get(events, EVENT);
  return typeof event === 'object' && event !== null && !Array.isArray(event);
}

/** A claim that names something; one that is there and no name spoils the token. */
function nameIn(payload: JWTPayload, claim: string): string | undefined {
  const value = payload[claim];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.length > LONGEST_NAME) throw fault(payload, claim);
  return value;
}

function fault(payload: JWTPayload, claim: string): Error {
  return new errors.JWTClaimValidationFailed(`unexpected ${claim}`, payload, claim, 'check_failed');
}
