import { type Pair, speaksHttp2 } from './pairs.ts';

/**
 * Everything that may differ between a call made directly and the same through the gateway: fields by lower-case name, a
 * `*` for any ending. What is not here arrives as it was sent: same value, same number, same order.
 */
export const mustChange = {
  /** RFC 9110 §7.6.1: they belong to one connection, or say where a message ends on it. */
  hopOfRequests: ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'content-length', 'expect'],
  /** Host and its like, who is asking, and the reference: set by the gateway whatever a caller says. */
  setByUs: ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id', 'x-auth-request-*', 'x-user-*'],
  hopOfAnswers: ['connection', 'keep-alive', 'transfer-encoding'],
} as const;

/** Request fields without those that must change. Where HTTP/1.1 and HTTP/2 meet, names lose their case. */
export function comparableRequest(fields: readonly string[], pair: Pair): string[] {
  const kept = without(fields, [...mustChange.hopOfRequests, ...mustChange.setByUs]);
  return isMixed(pair) || speaksHttp2(pair.client) ? lowered(kept) : kept;
}

/** The same of an answer. */
export function comparableAnswer(fields: readonly string[], pair: Pair): string[] {
  const kept = without(fields, mustChange.hopOfAnswers);
  return isMixed(pair) ? lowered(kept) : kept;
}

function isMixed({ client, upstream }: Pair): boolean {
  return speaksHttp2(client) !== speaksHttp2(upstream);
}

function without(fields: readonly string[], patterns: readonly string[]): string[] {
  const isNamed = (name: string) =>
    patterns.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
  return fields.filter((_, i) => !isNamed((fields[i - (i % 2)] ?? '').toLowerCase()));
}

function lowered(fields: readonly string[]): string[] {
  return fields.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part));
}
