import type { Claims } from './identity.ts';

/** Whom an access token speaks of, and what it lets them do. */
export interface TokenBearer {
  readonly subject: string;
  readonly kind: 'person' | 'app';
  readonly clientId?: string;
  readonly scopes: readonly string[];
}

/**
 * Reads bearer and scopes out of an access token's claims.
 *
 * The client is `cid` (Okta), `client_id` (RFC 9068) or `azp`; scopes are `scp` or `scope`, as a list or separated by
 * spaces. A token with neither client nor scopes has scope `all`, as flyteadmin counts it.
 *
 * An app is told from a person by what only the client credentials grant leaves in a token: a subject that is the client
 * itself (RFC 9068 §5, Okta, oidc-provider), Auth0's `gty`, `grant_type`, Entra's `idtyp`, or the address that Keycloak
 * notes for service accounts. A token without a subject is taken for an app's by such a mark only: some issuers can be set
 * up to leave `sub` out of people's tokens, and a person must never turn into the app they came by.
 *
 * @returns the name of the claim at fault when they cannot be told
 */
export function readTokenBearer(claims: Claims): TokenBearer | { readonly fault: string } {
  const clientId = firstText(claims, ['cid', 'client_id', 'azp']);
  const scopes = readScopes(claims, clientId);
  if (!scopes) return { fault: 'scope' };
  const { sub } = claims;
  if (sub !== undefined && !isSubject(sub)) return { fault: 'sub' };
  const isApp = hasAppMark(claims) || (sub !== undefined && sub === clientId);
  const subject = sub ?? (isApp ? clientId : undefined);
  if (!isSubject(subject)) return { fault: 'sub' };
  return { subject, kind: isApp ? 'app' : 'person', ...(clientId === undefined ? {} : { clientId }), scopes };
}

function firstText(claims: Claims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = claims[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

function hasAppMark(claims: Claims): boolean {
  return (
    /^client[-_]credentials$/.test(String(claims.gty ?? claims.grant_type ?? '')) ||
    claims.idtyp === 'app' ||
    typeof claims.clientAddress === 'string'
  );
}

function readScopes(claims: Claims, clientId: string | undefined): readonly string[] | undefined {
  const said = claims.scp ?? claims.scope;
  if (said === undefined || said === null) return clientId === undefined ? ['all'] : [];
  const scopes: unknown = typeof said === 'string' ? said.split(' ').filter((scope) => scope !== '') : said;
  return Array.isArray(scopes) && scopes.every((scope) => typeof scope === 'string') ? scopes : undefined;
}

/** OpenID Connect Core §2 allows 255 characters; a control character would break the headers and logs that name it. */
function isSubject(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 255 && !/\p{Cc}/u.test(value);
}
