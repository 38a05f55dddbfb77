import type { JsonObject } from '@bufbuild/protobuf';
import { LRUCache } from 'lru-cache';
import type { Identity } from '../authenticate/identity.ts';
import type { Clock, Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import { digest } from '../oidc/digest.ts';
import { personClaims, type RawClaims } from '../oidc/person-claims.ts';
import type { PersonClaims } from '../session/session.ts';

/** What both generations' `UserInfo` answer. */
export interface UserInfo extends Profile {
  readonly subject: string;
  readonly additionalClaims: JsonObject;
}

interface Profile {
  readonly name: string;
  readonly preferredUsername: string;
  readonly givenName: string;
  readonly familyName: string;
  readonly email: string;
  readonly picture: string;
}

/** Who is asking, and the access token that proved it, if it was one. */
export interface Asking {
  readonly identity: Identity;
  readonly bearer: string | undefined;
}

export interface UserInfoNeeds {
  /** Whose tokens `ask` may be shown: nobody else is told one. */
  readonly issuer: string;
  /** Asks the provider about the bearer of a token; undefined where it has no such endpoint. The answer is about `subject`. */
  readonly ask: (token: string, subject: string) => Promise<RawClaims | undefined>;
  /** So long a caller waits for the provider; the answer is kept all the same. */
  readonly patienceMs: Millis;
  readonly now: Clock;
  readonly log: Log;
}

/** Profiles kept: at most about 4 KiB each, mostly 300 bytes. */
const MAX_PROFILES = 10_000;
/** Questions to the provider under way at once; whoever comes beyond hears what the token says. */
const MAX_QUESTIONS = 64;
/** After a failure nobody asks about the same token for so long. */
const REST_MS: Millis = 60_000;

/**
 * Says who somebody is, to themselves: what their session or token says. Of people whose access token says little, the
 * provider is asked with that token, once for as long as it lives; when it cannot tell, the token's word stands.
 * Never used to decide anything. Never rejects.
 */
export function createUserInfo(needs: UserInfoNeeds): (asking: Asking) => Promise<UserInfo> {
  const profiles = new LRUCache<string, { readonly profile: Profile; readonly until: Millis }>({ max: MAX_PROFILES });
  const underWay = new Map<string, Promise<Profile>>();
  const askOnce = (key: string, token: string, identity: Identity): Promise<Profile> => {
    const question = askProvider(needs, token, identity)
      .then(({ profile, until }) => {
        profiles.set(key, { profile, until });
        return profile;
      })
      .finally(() => underWay.delete(key));
    underWay.set(key, question);
    return question;
  };
  return async ({ identity, bearer }) => {
    const own = ownProfile(identity);
    const isAskedAbout = identity.kind === 'person' && identity.issuer === needs.issuer && !saysEnough(own);
    if (bearer === undefined || !isAskedAbout) return describe(identity, own);
    const key = digest(bearer);
    const known = profiles.get(key);
    if (known && known.until > needs.now()) return describe(identity, merge(own, known.profile));
    const shared = underWay.get(key);
    if (!shared && underWay.size >= MAX_QUESTIONS) return describe(identity, own);
    const told = await inTime(shared ?? askOnce(key, bearer, identity), needs.patienceMs);
    return describe(identity, merge(own, told));
  };
}

async function askProvider(
  needs: UserInfoNeeds,
  token: string,
  identity: Identity,
): Promise<{ profile: Profile; until: Millis }> {
  try {
    const { subject, expiresAt } = identity;
    const told = (await needs.ask(token, subject)) ?? {};
    return { profile: profileOf(personClaims({ sub: subject }, told, []) ?? { sub: subject }), until: expiresAt };
  } catch (cause) {
    // Safe: nothing is decided by it, and the token's own word is there to be told.
    needs.log.info('userinfo.failed', { cause });
    return { profile: NOTHING, until: needs.now() + REST_MS };
  }
}

async function inTime(question: Promise<Profile>, patienceMs: Millis): Promise<Profile> {
  const { promise: late, resolve } = Promise.withResolvers<Profile>();
  const timer = setTimeout(() => resolve(NOTHING), patienceMs);
  try {
    return await Promise.race([question, late]);
  } finally {
    clearTimeout(timer);
  }
}

function ownProfile(identity: Identity): Profile {
  return {
    name: identity.name ?? '',
    preferredUsername: identity.preferredUsername ?? '',
    givenName: identity.givenName ?? '',
    familyName: identity.familyName ?? '',
    email: identity.email ?? '',
    picture: identity.picture ?? '',
  };
}

const NOTHING: Profile = profileOf({ sub: '' });

function profileOf(claims: PersonClaims): Profile {
  return {
    name: claims.name ?? '',
    preferredUsername: claims.preferred_username ?? '',
    givenName: claims.given_name ?? '',
    familyName: claims.family_name ?? '',
    email: claims.email ?? '',
    picture: claims.picture ?? '',
  };
}

function saysEnough({ name, preferredUsername, email }: Profile): boolean {
  return name !== '' && preferredUsername !== '' && email !== '';
}

/** What the token says stands; the provider fills in what it leaves out. */
function merge(own: Profile, told: Profile): Profile {
  return {
    name: own.name || told.name,
    preferredUsername: own.preferredUsername || told.preferredUsername,
    givenName: own.givenName || told.givenName,
    familyName: own.familyName || told.familyName,
    email: own.email || told.email,
    picture: own.picture || told.picture,
  };
}

function describe({ subject, claims }: Identity, profile: Profile): UserInfo {
  const additionalClaims: JsonObject = {};
  for (const [name, value] of Object.entries(claims))
    additionalClaims[name] = typeof value === 'object' ? [...value] : value;
  return { subject, ...profile, additionalClaims };
}
