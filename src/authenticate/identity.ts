import type { Millis } from '../config/units.ts';

/** Who is asking, proved. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** A service app (client credentials) has no person behind it. */
  readonly kind: 'person' | 'app';
  readonly clientId?: string;
  readonly name?: string;
  readonly preferredUsername?: string;
  readonly givenName?: string;
  readonly familyName?: string;
  readonly email?: string;
  /** Whether the e-mail may be believed: for decisions and headers, an unverified one counts as absent. */
  readonly emailVerified: boolean;
  readonly picture?: string;
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** Of a browser session only. */
  readonly sessionId?: string;
  /** When the proof itself dies (token expiry, end of the session). */
  readonly expiresAt: Millis;
}
