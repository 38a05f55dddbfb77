import type { CookieKey } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import type { Millis } from '../../src/config/units.ts';
import { handleOf } from '../../src/session/marks.ts';
import type { Revocation } from '../../src/session/revocations.ts';
import type { Session } from '../../src/session/session.ts';

/** A moment that tests begin at. */
export const T0: Millis = 1_790_000_000_000;
export const MINUTE: Millis = 60_000;
export const HOUR: Millis = 3_600_000;

/** A clock that stands still until it is moved. */
export function createTestClock(start: Millis = T0) {
  let at = start;
  return {
    now: () => at,
    set: (moment: Millis) => {
      at = moment;
    },
    advance: (by: Millis) => {
      at += by;
    },
  };
}

/** A key pair made of one byte each. */
export function cookieKey(byte: number): CookieKey {
  return { hash: new Secret(new Uint8Array(64).fill(byte)), block: new Secret(new Uint8Array(32).fill(byte)) };
}

/** A person who signed in at T0 with an access token of one hour. */
export function session(changes: Partial<Session> = {}): Session {
  return {
    id: 'c2Vzc2lvbi1udW1iZXItMQ',
    issuer: 'https://id.example.com/realms/flyte',
    claims: {
      sub: 'user-1',
      name: '王小明',
      preferred_username: 'ming',
      email: 'ming@example.com',
      email_verified: true,
      groups: ['admins', 'ml'],
      additional: { department: 'research', level: 3 },
    },
    startedAt: T0,
    seenAt: T0,
    accessExpiresAt: T0 + HOUR,
    renewAt: T0 + 50 * MINUTE,
    refreshToken: 'refresh-token-1',
    ...changes,
  };
}

/** A session without a refresh token. */
export function sessionWithoutRefresh(changes: Partial<Session> = {}): Session {
  const { refreshToken: _token, renewAt: _renewAt, ...rest } = session();
  return { ...rest, ...changes };
}

/** A sign-out of one session, made at T0 unless said. */
export function revocationOf(sessionId: string, until: Millis, at: Millis = T0): Revocation {
  return { of: { kind: 'session', handle: handleOf(sessionId) }, at, until };
}
