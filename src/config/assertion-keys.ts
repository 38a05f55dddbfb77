import { createPrivateKey, type KeyObject } from 'node:crypto';
import { maxKeys } from './cookie-keys.ts';
import { Secret } from './secret.ts';

/** The keys of a file, each as PEM, or everything that is wrong with them, without a byte of them. */
export type AssertionKeyFile =
  | { readonly kind: 'keys'; readonly keys: readonly Secret[] }
  | { readonly kind: 'wrong'; readonly expected: string; readonly found: readonly string[] };

const expected = `1 to ${maxKeys} private keys in PEM, each an EC key on P-256 or an Ed25519 key`;

/**
 * Reads the text of the file of assertion keys: PEM blocks (RFC 7468 §10), one below the other. Whatever stands between
 * them is a comment.
 */
export function readAssertionKeys(text: string): AssertionKeyFile {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g) ?? [];
  if (blocks.length === 0) return { kind: 'wrong', expected, found: ['a file without one'] };
  if (blocks.length > maxKeys) return { kind: 'wrong', expected, found: [`${blocks.length} keys`] };
  const seen = new Set<string>();
  const found = blocks.flatMap((pem, at) => {
    const fault = faultOf(pem, seen);
    return fault === undefined ? [] : [`as number ${at + 1} ${fault}`];
  });
  if (found.length > 0) return { kind: 'wrong', expected, found };
  return { kind: 'keys', keys: blocks.map((pem) => new Secret(`${pem}\n`)) };
}

function faultOf(pem: string, seen: Set<string>): string | undefined {
  const key = parse(pem);
  if (!key) return 'something that is no private key, or one with a password';
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isFit = type === 'ed25519' || (type === 'ec' && details?.namedCurve === 'prime256v1');
  if (!isFit) return `a key of another kind, ${type}`;
  const der = key.export({ type: 'pkcs8', format: 'der' }).toString('base64');
  if (seen.has(der)) return 'a key that stands there before';
  seen.add(der);
  return undefined;
}

function parse(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    // Safe: what could not be read is told as such; OpenSSL's reasons could hold a part of it.
    return undefined;
  }
}
