import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Session } from './session.ts';
import { readStoredSession } from './stored-session.ts';

/** The layout of records; a later layout gets a later number. */
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Seals a session for a database: AES-256-GCM with a key made by HKDF-SHA256 from the session's id alone, 128 random bits
 * that stand nowhere but in its browser's sealed cookie. Whoever has the database has nothing to open it with, and whoever
 * has the gateway's keys as well has no cookie.
 */
export function sealRecord(session: Session): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(session.id), nonce);
  cipher.setAAD(Buffer.of(VERSION));
  const text = Buffer.concat([cipher.update(JSON.stringify(session), 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), text]);
}

/** @returns undefined for what this session's id does not open, or what has another shape. Never throws. */
export function openRecord(id: string, record: Buffer): Session | undefined {
  if (record[0] !== VERSION || record.length < 1 + NONCE_BYTES + TAG_BYTES) return undefined;
  const textAt = 1 + NONCE_BYTES + TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', keyOf(id), record.subarray(1, 1 + NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.of(VERSION));
  decipher.setAuthTag(record.subarray(1 + NONCE_BYTES, textAt));
  try {
    const text = Buffer.concat([decipher.update(record.subarray(textAt)), decipher.final()]);
    const session = readStoredSession(JSON.parse(text.toString('utf8')));
    return session?.id === id ? session : undefined;
  } catch {
    // Safe: whatever could not be decrypted or parsed is unreadable, and unreadable is a no.
    return undefined;
  }
}

function keyOf(id: string): Buffer {
  return Buffer.from(hkdfSync('sha256', id, '', 'flytegate session record', 32));
}
