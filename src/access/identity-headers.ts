import { LRUCache } from 'lru-cache';
import type { ClaimValue, Identity } from '../authenticate/identity.ts';
import type { Log } from '../observe/log.ts';

export { createIsIdentityHeader } from './is-identity-header.ts';

export interface IdentityHeaderSettings {
  /** Claims shown as `X-User-Claim-<name>`, `_` written as `-`. */
  readonly claims: readonly string[];
  readonly log: Log;
}

/** A longer value is left out: an upstream or nginx would refuse the whole message for it. */
const MAX_VALUE_BYTES = 1024;

/**
 * Makes the headers that tell upstreams who is asking: `X-Auth-Request-User` (the subject), `-Email` (only a verified one),
 * `-Groups` (joined with commas), `-Preferred-Username`, `X-User-Subject`, and `X-User-Claim-<name>` with the claim as JSON,
 * as flyteadmin writes it.
 *
 * An absent claim is an absent header. So is one that could be misread: with a control character, white space at either end,
 * half a surrogate pair, or over 1 KiB. Groups with a comma or control character are left out one by one. The log says so once per person.
 *
 * @returns flat name, value …; values are the UTF-8 bytes as a latin1 string
 */
export function createIdentityHeaders(settings: IdentityHeaderSettings): (identity: Identity) => readonly string[] {
  const claimHeaders = settings.claims.map((claim) => [`X-User-Claim-${claim.replaceAll('_', '-')}`, claim] as const);
  for (const [, claim] of claimHeaders) {
    if (!NAME.test(claim)) settings.log.warn('identity.claim_unnameable', { claim });
  }
  const nameable = claimHeaders.filter(([, claim]) => NAME.test(claim));
  const warnOnce = createWarnOnce(settings.log);
  return (identity) => fieldsOf(identity, nameable, warnOnce);
}

/** Makes something once for an identity, for as long as that is remembered. */
export function onceForIdentity<Made>(make: (identity: Identity) => Made): (identity: Identity) => Made {
  const known = new WeakMap<Identity, Made>();
  return (identity) => {
    const before = known.get(identity);
    if (before !== undefined) return before;
    const made = make(identity);
    known.set(identity, made);
    return made;
  };
}

/** RFC 9110 §5.6.2: what a header name may consist of. */
const NAME = /^[\w!#$%&'*+.^`|~-]+$/;

type Warn = (identity: Identity, header: string, why: string) => void;

function fieldsOf(
  identity: Identity,
  claimHeaders: readonly (readonly [string, string])[],
  warn: Warn,
): readonly string[] {
  const fields: string[] = [];
  const put = (header: string, value: string | undefined) => {
    if (value === undefined || value === '') return;
    const bytes = Buffer.from(value, 'utf8');
    const fault = faultOfValue(value, bytes.length);
    if (fault) warn(identity, header, fault);
    // As long as its bytes is ASCII, which is latin1 as it stands; a copy would be kept for each identity.
    else fields.push(header, bytes.length === value.length ? value : bytes.toString('latin1'));
  };
  put('X-Auth-Request-User', identity.subject);
  put('X-Auth-Request-Email', identity.emailVerified ? identity.email : undefined);
  put('X-Auth-Request-Preferred-Username', identity.preferredUsername);
  put('X-User-Subject', identity.subject);
  for (const [header, claim] of claimHeaders) put(header, toJson(identity.claims[claim]));
  // Last, as it is the longest: an answer that has no room for all leaves out from the end.
  put('X-Auth-Request-Groups', joinGroups(identity, warn));
  return fields;
}

function joinGroups(identity: Identity, warn: Warn): string {
  const clear = identity.groups.filter((group) => group !== '' && !/[,\p{Cc}]/u.test(group) && group === group.trim());
  if (clear.length < identity.groups.length)
    warn(identity, 'X-Auth-Request-Groups', 'a group has a comma, control character or white space at an end');
  return clear.join(',');
}

function toJson(value: ClaimValue | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

// White space at the ends is lost on the way and control characters end a header: either would name somebody else.
function faultOfValue(value: string, bytes: number): string | undefined {
  if (bytes > MAX_VALUE_BYTES) return `over ${MAX_VALUE_BYTES} bytes`;
  if (/\p{Cc}/u.test(value)) return 'control character';
  if (value !== value.trim()) return 'white space at an end';
  return value.isWellFormed() ? undefined : 'half a surrogate pair';
}

function createWarnOnce(log: Log): Warn {
  const warned = new LRUCache<string, true>({ max: 1000 });
  return (identity, header, why) => {
    const key = JSON.stringify([identity.issuer, identity.subject, header]);
    if (warned.has(key)) return;
    warned.set(key, true);
    log.warn('identity.header_left_out', { header, why });
  };
}
