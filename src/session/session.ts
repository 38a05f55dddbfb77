import type { Millis } from '../config/units.ts';

/** What the provider says of a person, as `/me` shows it. Names are OpenID Connect's (Core §5.1). */
export interface PersonClaims {
  readonly sub: string;
  readonly name?: string;
  readonly preferred_username?: string;
  readonly given_name?: string;
  readonly family_name?: string;
  readonly email?: string;
  /** Only a JSON `true` counts as true; what was neither boolean nor absent is kept as false. */
  readonly email_verified?: boolean;
  readonly picture?: string;
  readonly groups?: readonly string[];
  /** Further claims, only those that `identityHeaders.claims` names. */
  readonly additional?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** A signed-in person between requests. Times are milliseconds since the epoch. */
export interface Session {
  /** 128 random bits, base64url; new at every sign-in, the same through every renewal. */
  readonly id: string;
  readonly issuer: string;
  /** The provider's own name for its session, when it said one: it may end that one without us. */
  readonly sid?: string;
  readonly claims: PersonClaims;
  readonly startedAt: Millis;
  /** Moved on at most every tenth of the idle limit, so that a busy session is not re-sealed on each request. */
  readonly seenAt: Millis;
  /** When the access token dies, and with it the session unless it is renewed. */
  readonly accessExpiresAt: Millis;
  /** When to start renewing; only with a refresh token. */
  readonly renewAt?: Millis;
  readonly refreshToken?: string;
  /** Kept only where a service behind is sent it, which takes a store of the server's own. */
  readonly accessToken?: string;
}
