import { randomBytes } from 'node:crypto';
import type { KeyPair } from '../src/config/keygen.ts';
import { Secret } from '../src/config/secret.ts';
import { createSeal, type Seal } from '../src/session/seal.ts';
import type { Session } from '../src/session/session.ts';

/** Seals what a sign-in with this provider would have: a session that needs no renewal for an hour. */
export interface SessionMaker {
  /** @param cookieBytes the length of the cookie's value to come near to; a shorter refresh token makes it shorter */
  seal(person: string, cookieBytes: number): Promise<string>;
}

export const sessionCookieName = '__Host-flytegate';

const hourMs = 3_600_000;

/** @param issuer as the gateway knows it */
export function createSessionMaker(keys: KeyPair, issuer: string): SessionMaker {
  const seal = sealOf(keys);
  const bare = sessionOf('nobody', issuer, 'x');
  let overhead: number | undefined;
  return {
    seal: async (person, cookieBytes) => {
      overhead ??= (await seal.seal('session', bare)).length;
      const room = Math.max(16, Math.floor(((cookieBytes - overhead) * 3) / 4));
      const refreshToken = randomBytes(room).toString('base64url').slice(0, room);
      return seal.seal('session', sessionOf(person, issuer, refreshToken));
    },
  };
}

function sealOf(keys: KeyPair): Seal {
  const read = (text: string) => new Secret(Buffer.from(text, 'base64'));
  return createSeal([{ hash: read(keys.cookie_hash_key), block: read(keys.cookie_block_key) }]);
}

function sessionOf(person: string, issuer: string, refreshToken: string): Session {
  const now = Date.now();
  return {
    id: randomBytes(16).toString('base64url'),
    issuer,
    claims: {
      sub: person,
      name: 'Ada Example',
      preferred_username: person,
      given_name: 'Ada',
      family_name: 'Example',
      email: `${person}@example.com`,
      email_verified: true,
      groups: ['engineering', 'flyte-admins'],
    },
    startedAt: now,
    seenAt: now,
    accessExpiresAt: now + 2 * hourMs,
    renewAt: now + hourMs,
    refreshToken,
  };
}
