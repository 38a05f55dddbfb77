import { randomUUID } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import type { ClaimValue, Identity } from '../authenticate/identity.ts';
import type { Clock, Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { AssertionKeys } from './assertion-keys.ts';
import { clearGroups, createWarnOnce, faultOfValue, type Warn } from './tellable.ts';

export interface Assertion {
  /** Compact; undefined where the subject cannot be named, as no assertion may be about nobody. */
  readonly jwt: string | undefined;
  /** The same one may be said again until then: four fifths of its life. */
  readonly reuseUntil: Millis;
}

/**
 * Says who is asking to one audience: a JWT (RFC 7519) signed with the first of our keys.
 * @throws {Error} (by rejecting) when there is no key, which the settings rule out
 */
export type Assert = (identity: Identity, audience: string) => Promise<Assertion>;

/** An assertion lives five minutes, or as long as the proof behind it, but at least so long that it can be used. */
const LONGEST_S = 300;
const SHORTEST_S = 30;

/** As long as the longest header of groups that we send. */
const MAX_GROUPS_BYTES = 1024;

/**
 * Makes assertions with `iss` (the public URL), `aud`, `sub`, `idp` (who vouches for the subject), `iat`, `exp`, `jti`, and the
 * claims of the identity under OpenID Connect's names (Core §5.1). As in headers, an e-mail that is not verified and what
 * could be misread are left out.
 */
export function createAssert(needs: { issuer: string; keys: AssertionKeys; now: Clock; log: Log }): Assert {
  const warn = createWarnOnce(needs.log);
  return async (identity, audience) => {
    const iat = Math.floor(needs.now() / 1000);
    const lives = Math.floor(identity.expiresAt / 1000) - iat;
    const exp = iat + Math.min(LONGEST_S, Math.max(SHORTEST_S, lives));
    const reuseUntil = (iat + (exp - iat) * 0.8) * 1000;
    const claims = claimsOf(identity, warn);
    if (claims.sub === undefined) return { jwt: undefined, reuseUntil };
    const { kid, alg, privateKey } = needs.keys.first();
    // `typ` is the plain one: widespread verifiers (Spring's, for one) take no other.
    const jwt = await new SignJWT({ ...claims, iss: needs.issuer, aud: audience, iat, exp, jti: randomUUID() })
      .setProtectedHeader({ alg, kid, typ: 'JWT' })
      .sign(privateKey);
    return { jwt, reuseUntil };
  };
}

/**
 * What a claim of the settings may not take the place of, in any case: Go's decoder, for one, takes `SUB` for `sub`
 * (encoding/json, "preferring an exact match but also accepting a case-insensitive match").
 */
const OURS = new Set([
  ...['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti', 'idp', 'client_id'],
  ...['name', 'preferred_username', 'given_name', 'family_name', 'email', 'email_verified', 'groups'],
]);

/** Of all claims together: a header of the JWT then fits into nginx's usual line of 8 KiB, twice into what Node.js takes. */
const MAX_CLAIMS_BYTES = 4096;

function claimsOf(identity: Identity, warn: Warn): JWTPayload {
  const header = 'X-Flytegate-Assertion';
  const clear = (claim: string, value: string | undefined): string | undefined => {
    if (value === undefined || value === '') return undefined;
    const fault = faultOfValue(value);
    if (fault) warn(identity, `${header} ${claim}`, fault);
    return fault ? undefined : value;
  };
  const groups = clearGroups(identity, header, warn);
  const areGroupsShort = Buffer.byteLength(groups.join(',')) <= MAX_GROUPS_BYTES;
  if (!areGroupsShort) warn(identity, `${header} groups`, `over ${MAX_GROUPS_BYTES} bytes`);
  const email = identity.emailVerified ? clear('email', identity.email) : undefined;
  // A list: the order is that in which they are given room, and an object puts names that are numbers first.
  const said: Claims = [
    ['sub', clear('sub', identity.subject)],
    ['idp', identity.issuer],
    ['client_id', clear('client_id', identity.clientId)],
    ['email', email],
    ['email_verified', email === undefined ? undefined : true],
    ['preferred_username', clear('preferred_username', identity.preferredUsername)],
    ['name', clear('name', identity.name)],
    ['given_name', clear('given_name', identity.givenName)],
    ['family_name', clear('family_name', identity.familyName)],
    ['groups', areGroupsShort && groups.length > 0 ? groups : undefined],
    ...further(identity, clear),
  ];
  return fitting(said, (claim) => warn(identity, `${header} ${claim}`, `no room within ${MAX_CLAIMS_BYTES} bytes`));
}

type Claims = readonly (readonly [name: string, value: ClaimValue | undefined])[];

/** As many claims as there is room for. @param leaveOut told of each that is left out */
function fitting(said: Claims, leaveOut: (claim: string) => void): JWTPayload {
  let room = MAX_CLAIMS_BYTES;
  const fit: [string, ClaimValue][] = [];
  for (const [claim, value] of said) {
    if (value === undefined) continue;
    const bytes = Buffer.byteLength(JSON.stringify([claim, value]));
    if (bytes > room) leaveOut(claim);
    else {
      room -= bytes;
      fit.push([claim, value]);
    }
  }
  return Object.fromEntries(fit);
}

type Clear = (claim: string, value: string | undefined) => string | undefined;

/** The claims that `identityHeaders.claims` names. */
function further(identity: Identity, clear: Clear): Claims {
  return Object.entries(identity.claims).filter(
    ([name, value]) => !OURS.has(name.toLowerCase()) && clear(name, JSON.stringify(value)) !== undefined,
  );
}
