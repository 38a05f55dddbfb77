import { decodeBase64url } from '../session/base64url.ts';

/** A JWT's parts as they stand, nothing of it verified. */
export interface UnverifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** 16 KiB: twice what the largest tokens with groups take, and what a header line may be at all. */
const MAX_TOKEN_LENGTH = 16_384;

/** A header holds an algorithm, a type, a key's name and its thumbprint. */
const MAX_HEADER_LENGTH = 2048;

/** Two dots, neither more nor fewer; the alphabet of base64url between them. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Takes a JWS in compact serialization apart without any cryptography: a bounded length, exactly three segments of strict
 * base64url, two of them JSON objects (RFC 7515 §7.1, RFC 7519 §7.2).
 *
 * @returns undefined for anything else
 */
export function readTokenForm(token: string): UnverifiedToken | undefined {
  if (token.length > MAX_TOKEN_LENGTH || !COMPACT.test(token)) return undefined;
  const [head = '', body = '', signature = ''] = token.split('.');
  if (head.length > MAX_HEADER_LENGTH || decodeBase64url(signature) === undefined) return undefined;
  const header = readObject(head);
  const claims = readObject(body);
  return header && claims ? { header, claims } : undefined;
}

function readObject(segment: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = decodeBase64url(segment);
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(strictUtf8.decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // Safe: what is not UTF-8 or not JSON is no token, and no token is a no.
    return undefined;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
