/** Every header that some control plane, or an app behind it, believes about who is asking. */
const PREFIXES = [
  'x-auth-request-',
  'x-amzn-oidc-',
  'x-user-',
  'x-flytegate-',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
];

/** Names asked about are few and always the same; the bound is against callers that make some up. */
const MAX_KNOWN = 4096;

/**
 * Tells whether a header, in any spelling, is one that only the gateway may set: by prefix, in any case, and with any other
 * sign for `-`, as CGI and its descendants read `X_User_Subject` and `X-User-Subject` alike (RFC 3875 §4.1.18).
 *
 * @param extraPrefixes further prefixes, in lower case
 */
export function createIsIdentityHeader(extraPrefixes: readonly string[]): (name: string) => boolean {
  const prefixes = [...PREFIXES, ...extraPrefixes].map(flatten).filter((prefix) => prefix !== '');
  const known = new Map<string, boolean>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const flat = flatten(name);
    const answer = prefixes.some((prefix) => flat.startsWith(prefix));
    if (known.size < MAX_KNOWN && name.length <= 64) known.set(name, answer);
    return answer;
  };
}

function flatten(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}
