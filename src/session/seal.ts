import { hash, hkdfSync, type webcrypto } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import type { CookieKey } from '../config/config.ts';
import { decodeBase64url } from './base64url.ts';

/** What a sealed value is for. Every purpose has keys of its own: a value of one purpose never opens as another. */
export type Purpose =
  | 'session'
  | 'login-state'
  | 'login-cookie'
  | 'logout-state'
  | 'id-token'
  // In Redis: what sessions are listed by, sign-outs, and renewed sessions on their way to other replicas.
  | 'session-index'
  | 'revocation'
  | 'renewal';

/** Hides and authenticates values that a browser or a database keeps for the gateway. */
export interface Seal {
  /** Seals a JSON object with the first key. The result has only characters that a cookie and a query may carry. */
  seal(purpose: Purpose, payload: object): Promise<string>;
  /**
   * Opens what some key of ours sealed for this purpose.
   *
   * @returns the payload, unchecked beyond being an object; undefined for anything unreadable. Never throws.
   */
  open(purpose: Purpose, sealed: string): Promise<Record<string, unknown> | undefined>;
}

/** Longer values are refused before any work is done on them; browsers keep at most 4 KiB in a cookie. */
export const MAX_SEALED_LENGTH = 8192;

/** The same of what no browser keeps: a session as large as a store takes. */
const MAX_KEPT_LENGTH = 1_048_576;

/** The layout of payloads; a later layout gets a later number. */
const VERSION = 1;

/**
 * Seals as JWE compact serialization, `{alg: dir, enc: A256GCM, kid, typ: purpose}` (RFC 7516 §7.1). A key is HKDF-SHA256
 * over hash key ‖ block key with the purpose for info (RFC 5869); its kid the first 8 characters of base64url(sha256(key)).
 *
 * @param keys at least one; the first seals, all open
 */
export function createSeal(keys: readonly CookieKey[]): Seal {
  const rings = new Map<Purpose, Ring>();
  const ringOf = (purpose: Purpose): Ring => {
    const known = rings.get(purpose);
    if (known) return known;
    const ring = keys.map((key) => deriveKey(key, purpose));
    rings.set(purpose, ring);
    return ring;
  };
  return {
    seal: (purpose, payload) => sealWith(ringOf(purpose)[0], payload),
    open: (purpose, sealed) =>
      openWith(ringOf(purpose), sealed, purpose === 'renewal' ? MAX_KEPT_LENGTH : MAX_SEALED_LENGTH),
  };
}

/** The keys of one purpose. */
type Ring = readonly SealKey[];

interface SealKey {
  readonly header: { readonly alg: 'dir'; readonly enc: 'A256GCM'; readonly kid: string; readonly typ: Purpose };
  /** All that a value sealed with this key begins with: its header, and the empty encrypted key of `dir`. */
  readonly prefix: string;
  readonly key: Promise<webcrypto.CryptoKey>;
}

function deriveKey(from: CookieKey, purpose: Purpose): SealKey {
  const bytes = new Uint8Array(
    hkdfSync('sha256', Buffer.concat([from.hash.reveal(), from.block.reveal()]), '', purpose, 32),
  );
  const kid = hash('sha256', bytes, 'base64url').slice(0, 8);
  const header = { alg: 'dir', enc: 'A256GCM', kid, typ: purpose } as const;
  const prefix = `${Buffer.from(JSON.stringify(header)).toString('base64url')}..`;
  return { header, prefix, key: crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']) };
}

async function sealWith(key: SealKey | undefined, payload: object): Promise<string> {
  if (!key) throw new TypeError('a seal needs at least one key');
  const text = Buffer.from(JSON.stringify({ ...payload, v: VERSION }));
  return new CompactEncrypt(text).setProtectedHeader(key.header).encrypt(await key.key);
}

async function openWith(ring: Ring, sealed: string, max: number): Promise<Record<string, unknown> | undefined> {
  if (sealed.length > max) return undefined;
  // The header is compared, not parsed: nothing that a stranger writes into one (crit, zip, another alg) is ever read.
  const key = ring.find((candidate) => sealed.startsWith(candidate.prefix));
  if (!key) return undefined;
  const segments = sealed.slice(key.prefix.length).split('.', 4);
  if (segments.length !== 3 || segments.some((segment) => decodeBase64url(segment) === undefined)) return undefined;
  try {
    const { plaintext } = await compactDecrypt(sealed, await key.key, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    return readPayload(JSON.parse(Buffer.from(plaintext).toString('utf8')));
  } catch {
    // Safe: whatever could not be decrypted or parsed is unreadable, and unreadable is a no.
    return undefined;
  }
}

function readPayload(payload: unknown): Record<string, unknown> | undefined {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return undefined;
  const { v, ...rest }: Record<string, unknown> = { ...payload };
  return v === VERSION ? rest : undefined;
}
