import type { CookieKey } from './config.ts';
import { Secret } from './secret.ts';

/** Keys in one key file at most. */
export const maxKeys = 20;

const forms = {
  hash: { sizes: '32 bytes or more', isSize: (bytes: number) => bytes >= 32 },
  block: { sizes: '16, 24 or 32 bytes', isSize: (bytes: number) => bytes === 16 || bytes === 24 || bytes === 32 },
} as const;

/** The keys of one file, or everything that is wrong with them, without a byte of them. */
export type KeyFile =
  | { readonly kind: 'keys'; readonly keys: readonly Secret<Uint8Array>[] }
  | { readonly kind: 'wrong'; readonly expected: string; readonly found: readonly string[] };

/**
 * Reads the text of a key file: one key a line, in base64 of either alphabet (RFC 4648 §4, §5), padded or not. A file of
 * flyteadmin's has one line.
 */
export function readKeyFile(text: string, role: 'hash' | 'block'): KeyFile {
  const { sizes, isSize } = forms[role];
  const expected = `base64 of ${sizes} on each of 1 to ${maxKeys} lines`;
  const lines = text.trimEnd().split(/\r?\n/);
  if (text.trim() === '') return { kind: 'wrong', expected, found: ['an empty file'] };
  if (lines.length > maxKeys) return { kind: 'wrong', expected, found: [`${lines.length} lines`] };
  const keys = lines.map((line) => decodeBase64(line.trim()));
  const good = keys.filter((key) => key !== undefined && isSize(key.length) && !isConstant(key)) as Uint8Array[];
  if (good.length === keys.length) return { kind: 'keys', keys: good.map((key) => new Secret(key)) };
  const found = keys.flatMap((key, at) => (key && good.includes(key) ? [] : [`on line ${at + 1} ${describe(key)}`]));
  return { kind: 'wrong', expected, found };
}

/** Pairs the keys of two files line by line; undefined when they have different numbers of lines. */
export function pairKeys(
  hashes: readonly Secret<Uint8Array>[],
  blocks: readonly Secret<Uint8Array>[],
): readonly CookieKey[] | undefined {
  const pairs = hashes.flatMap((hash, at) => {
    const block = blocks[at];
    return block ? [{ hash, block }] : [];
  });
  return pairs.length === hashes.length && pairs.length === blocks.length ? pairs : undefined;
}

function decodeBase64(text: string): Uint8Array | undefined {
  const [, digits] = /^([A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/.exec(text) ?? [];
  if (!digits || digits.length % 4 === 1) return undefined;
  return new Uint8Array(Buffer.from(digits, 'base64url'));
}

/** A placeholder such as AAAA…: the right length and no secret. */
function isConstant(key: Uint8Array): boolean {
  return key.every((byte) => byte === key[0]);
}

function describe(key: Uint8Array | undefined): string {
  if (!key) return 'something else';
  return isConstant(key) ? 'one byte repeated, which is no key' : `${key.length} bytes`;
}
