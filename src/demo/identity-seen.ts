import type { IncomingHttpHeaders } from 'node:http';

const PREFIXES = [
  'x-auth-request-',
  'x-user-',
  'x-amzn-oidc-',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
];

/** The header fields that say who is asking, by lower-case name: what a service behind the gateway believes. */
export function identitySeen(headers: IncomingHttpHeaders): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    // gRPC-Web's own name for the program that calls.
    const isIdentity = name !== 'x-user-agent' && PREFIXES.some((prefix) => name.startsWith(prefix));
    if (value !== undefined && isIdentity) seen[name] = readable(String(value));
  }
  return seen;
}

/** Header bytes as the UTF-8 they are: Node shows them one character to a byte. */
export function readable(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}
