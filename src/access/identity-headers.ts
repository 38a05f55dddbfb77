import { LRUCache } from 'lru-cache';
import type { ClaimValue, Identity } from '../authenticate/identity.ts';
import type { IdentityMode } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { clearGroups, createWarnOnce, faultOfValue, type Warn } from './tellable.ts';

export { createIsIdentityHeader } from './is-identity-header.ts';

export interface IdentityHeaderSettings {
  /** Claims shown as `X-User-Claim-<name>`, `_` written as `-`. */
  readonly claims: readonly string[];
  readonly log: Log;
}

/** Said where nothing else is: to `/me`'s callers, and to upstreams by default. */
export const usualModes: readonly IdentityMode[] = ['auth-request', 'flyteadmin'];

/** Makes the header fields of an identity. @param modes which of them; the usual ones where it is left out */
export type MakeIdentityHeaders = (identity: Identity, modes?: readonly IdentityMode[]) => readonly string[];

/**
 * Makes the headers that tell upstreams who is asking: `X-Auth-Request-User` (the subject), `-Email` (only a verified one),
 * `-Groups` (joined with commas), `-Preferred-Username`, `X-User-Subject`, and `X-User-Claim-<name>` with the claim as JSON,
 * as flyteadmin writes it; for `alb` `X-Amzn-Oidc-Identity` (the subject). What is signed is `assertion.ts`'s.
 *
 * An absent claim is an absent header. So is one that could be misread: with a control character, white space at either end,
 * half a surrogate pair, or over 1 KiB. Groups with a comma or control character are left out one by one. Claims have 8 KiB
 * together, in the order of the settings; one that has no room left is left out. The log says so once per person.
 *
 * @returns flat name, value …; values are the UTF-8 bytes as a latin1 string
 */
export function createIdentityHeaders(settings: IdentityHeaderSettings): MakeIdentityHeaders {
  const claimHeaders = settings.claims.map((claim) => [`X-User-Claim-${claim.replaceAll('_', '-')}`, claim] as const);
  for (const [, claim] of claimHeaders) {
    if (!NAME.test(claim)) settings.log.warn('identity.claim_unnameable', { claim });
  }
  const nameable = claimHeaders.filter(([, claim]) => NAME.test(claim));
  const warn = createWarnOnce(settings.log);
  return (identity, modes = usualModes) => fieldsOf({ identity, modes, claimHeaders: nameable, warn });
}

/** Identities beside which is kept what was made of them: those that were used last. Making it anew takes a few µs. */
export const RECENT_IDENTITIES = 4096;

/** Makes something once for an identity, for as long as that is among those that were used last. */
export function onceForIdentity<Made extends {}>(make: (identity: Identity) => Made): (identity: Identity) => Made {
  const known = new LRUCache<Identity, Made>({ max: RECENT_IDENTITIES });
  return (identity) => {
    const before = known.get(identity);
    if (before !== undefined) return before;
    const made = make(identity);
    known.set(identity, made);
    return made;
  };
}

/** Of the fields of all claims together: half of what Node.js takes of a head, a quarter of what nginx does by default. */
const MAX_CLAIMS_BYTES = 8192;
/** Colon, space and line break. */
const FIELD_BYTES = 4;

/** RFC 9110 §5.6.2: what a header name may consist of. */
const NAME = /^[\w!#$%&'*+.^`|~-]+$/;

interface Making {
  readonly identity: Identity;
  readonly modes: readonly IdentityMode[];
  readonly claimHeaders: readonly (readonly [string, string])[];
  readonly warn: Warn;
}

function fieldsOf({ identity, modes, claimHeaders, warn }: Making): readonly string[] {
  const fields: string[] = [];
  const put = (header: string, value: string | undefined) => {
    if (value === undefined || value === '') return;
    const bytes = Buffer.from(value, 'utf8');
    const fault = faultOfValue(value, bytes.length);
    if (fault) warn(identity, header, fault);
    // As long as its bytes is ASCII, which is latin1 as it stands; a copy would be kept for each identity.
    else fields.push(header, bytes.length === value.length ? value : bytes.toString('latin1'));
  };
  const isAuthRequest = modes.includes('auth-request');
  if (isAuthRequest) {
    put('X-Auth-Request-User', identity.subject);
    put('X-Auth-Request-Email', identity.emailVerified ? identity.email : undefined);
    put('X-Auth-Request-Preferred-Username', identity.preferredUsername);
  }
  if (modes.includes('flyteadmin')) {
    put('X-User-Subject', identity.subject);
    let room = MAX_CLAIMS_BYTES;
    for (const [header, claim] of claimHeaders) {
      const before = fields.length;
      put(header, toJson(identity.claims[claim]));
      const taken = fields.length > before ? header.length + (fields.at(-1)?.length ?? 0) + FIELD_BYTES : 0;
      if (taken <= room) room -= taken;
      else {
        fields.length = before;
        warn(identity, 'X-User-Claim-*', `no room within ${MAX_CLAIMS_BYTES} bytes`);
      }
    }
  }
  if (modes.includes('alb')) put('X-Amzn-Oidc-Identity', identity.subject);
  // Last, as it is the longest: an answer that has no room for all leaves out from the end.
  const groups = 'X-Auth-Request-Groups';
  if (isAuthRequest) put(groups, clearGroups(identity, groups, warn).join(','));
  return fields;
}

function toJson(value: ClaimValue | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}
