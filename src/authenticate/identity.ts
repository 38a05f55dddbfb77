import type { Millis } from '../config/units.ts';
import { marksOf, type SessionMarks } from '../session/marks.ts';
import type { Session } from '../session/session.ts';
import { isPlainAddress } from './email.ts';

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
  /** Further claims, only those that `identityHeaders.claims` names. */
  readonly claims: Readonly<Record<string, ClaimValue>>;
  /** Of a browser session only. */
  readonly session?: SessionMarks;
  /** When the proof itself dies (token expiry, end of the session). */
  readonly expiresAt: Millis;
}

export type ClaimValue = string | number | boolean | readonly string[];

/** What a provider says of somebody, of any shape: OpenID Connect's names (Core §5.1), those of tokens, and others. */
export type Claims = Readonly<Record<string, unknown> & { [name in PersonClaim | TokenClaim]?: unknown }>;
type PersonClaim =
  | 'email'
  | 'email_verified'
  | 'family_name'
  | 'given_name'
  | 'groups'
  | 'name'
  | 'picture'
  | 'preferred_username';
type TokenClaim =
  | 'aud'
  | 'clientAddress'
  | 'cnf'
  | 'exp'
  | 'grant_type'
  | 'gty'
  | 'iat'
  | 'idtyp'
  | 'iss'
  | 'nbf'
  | 'scope'
  | 'scp'
  | 'sub'
  | 'token_use'
  | 'typ';

/** How far a provider's word is taken. */
export interface IdentitySettings {
  /** Whether an e-mail counts as verified when the provider says nothing about it. */
  readonly trustUnverifiedEmail: boolean;
  /** Names of the further claims that are kept. */
  readonly claims: readonly string[];
  /** Of people's sign-ins: one string for all of them, where each session that is opened would bring its own. */
  readonly issuer?: string;
}

const noScopes: readonly string[] = [];

/** The person behind a session. @param expiresAt when the session is over */
export function identityOfSession(session: Session, expiresAt: Millis, settings: IdentitySettings): Identity {
  const { additional = {}, ...claims } = session.claims;
  const issuer = session.issuer === settings.issuer ? settings.issuer : session.issuer;
  return {
    ...describe({ ...additional, ...claims }, settings),
    issuer,
    subject: claims.sub,
    kind: 'person',
    scopes: noScopes,
    session: marksOf({ ...session, issuer }),
    expiresAt,
  };
}

/** What a verified access token proves besides its claims. */
export interface TokenProof {
  readonly issuer: string;
  readonly subject: string;
  readonly kind: 'person' | 'app';
  readonly clientId?: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Millis;
}

/** The person or app behind a verified access token. */
export function identityOfToken(claims: Claims, proof: TokenProof, settings: IdentitySettings): Identity {
  return { ...describe(claims, settings), ...proof };
}

type Description = Omit<Identity, 'issuer' | 'subject' | 'kind' | 'scopes' | 'expiresAt' | 'clientId' | 'session'>;

function describe(claims: Claims, settings: IdentitySettings): Description {
  const email = text(claims.email);
  return {
    ...optional('name', text(claims.name)),
    ...optional('preferredUsername', text(claims.preferred_username)),
    ...optional('givenName', text(claims.given_name)),
    ...optional('familyName', text(claims.family_name)),
    ...optional('email', email),
    emailVerified: email !== undefined && isPlainAddress(email) && isVerified(claims.email_verified, settings),
    ...optional('picture', text(claims.picture)),
    groups: texts(claims.groups),
    claims: pick(claims, settings.claims),
  };
}

// Only JSON's true is a yes. The string "true", 1 and null are a provider that means something else, hence a no; silence is
// the operator's to judge.
function isVerified(said: unknown, settings: IdentitySettings): boolean {
  return said === undefined ? settings.trustUnverifiedEmail : said === true;
}

/** One for all: a hundred thousand identities may be remembered. */
const noClaims: Readonly<Record<string, ClaimValue>> = Object.freeze({});

function pick(claims: Claims, names: readonly string[]): Readonly<Record<string, ClaimValue>> {
  const picked: [string, ClaimValue][] = [];
  for (const name of names) {
    if (!Object.hasOwn(claims, name)) continue;
    const value = claims[name];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      picked.push([name, value]);
    else if (isTexts(value)) picked.push([name, value]);
  }
  return picked.length === 0 ? noClaims : Object.fromEntries(picked);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  return isTexts(value) ? value : [];
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function optional<K extends string>(name: K, value: string | undefined): { [name in K]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { [name in K]: string });
}
