import type { PersonClaims } from '../session/session.ts';

/** Claims as a provider sent them, in an ID token or from userinfo. */
export type RawClaims = Readonly<Record<string, unknown>>;

/** Bytes of one claim; a longer one counts as absent. */
const longestText = 256;
const longestPicture = 512;
/** OpenID Connect Core §2: a subject never exceeds 255 ASCII characters. */
const longestSubject = 255;
/** Bytes of a list in all. Groups decide about access, so they are never cut: more than this is no list we can keep. */
const longestList = 65_536;

/**
 * What is kept of a person: the claims that `/me` shows and those the settings name, each of the type and within the length
 * that it should have. Anything else counts as absent.
 *
 * @param idToken  verified
 * @param userinfo of the same subject; it goes before the ID token
 * @param names    further claims to keep
 */
export function personClaims(
  idToken: RawClaims,
  userinfo: RawClaims,
  names: readonly string[],
): PersonClaims | undefined {
  const { sub: rawSubject } = idToken;
  const sub = text(rawSubject, longestSubject);
  if (sub === undefined) return undefined;
  const all: RawClaims = { ...present(idToken), ...present(userinfo) };
  const { name, preferred_username, given_name, family_name, picture, groups } = all;
  return {
    sub,
    ...optional('name', text(name)),
    ...optional('preferred_username', text(preferred_username)),
    ...optional('given_name', text(given_name)),
    ...optional('family_name', text(family_name)),
    ...email(idToken, userinfo),
    ...optional('picture', text(picture, longestPicture)),
    ...optional('groups', list(groups)),
    ...optional('additional', additional(all, names)),
  };
}

/** An address and what is said of it come from the same source: one's `true` must not vouch for the other's address. */
function email(idToken: RawClaims, userinfo: RawClaims): Pick<PersonClaims, 'email' | 'email_verified'> {
  for (const { email: written, email_verified: verified } of [userinfo, idToken]) {
    const address = text(written);
    if (address === undefined) continue;
    const isSilent = verified === undefined || verified === null;
    return { email: address, ...optional('email_verified', isSilent ? undefined : verified === true) };
  }
  return {};
}

function additional(all: RawClaims, names: readonly string[]): PersonClaims['additional'] {
  const kept: [string, string | number | boolean | readonly string[]][] = [];
  for (const name of names) {
    const value = Object.hasOwn(all, name) ? further(all[name]) : undefined;
    if (value !== undefined) kept.push([name, value]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

function further(value: unknown): string | number | boolean | readonly string[] | undefined {
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value;
  return Array.isArray(value) ? list(value) : text(value);
}

function text(value: unknown, longest = longestText): string | undefined {
  if (typeof value !== 'string' || value === '' || !value.isWellFormed()) return undefined;
  return Buffer.byteLength(value) <= longest && !/\p{Cc}/u.test(value) ? value : undefined;
}

/** A list of texts; some providers send one text where there is one group. */
function list(value: unknown): readonly string[] | undefined {
  const values = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(values)) return undefined;
  const texts = values.map((item) => text(item)).filter((item) => item !== undefined);
  const bytes = texts.reduce((sum, item) => sum + Buffer.byteLength(item), 0);
  return bytes <= longestList ? texts : undefined;
}

function present(claims: RawClaims): RawClaims {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined && value !== null));
}

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  const entry: { [P in K]?: V } = {};
  if (value !== undefined) entry[name] = value;
  return entry;
}
