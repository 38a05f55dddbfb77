import { hash } from 'node:crypto';
import { Secret } from './secret.ts';

/**
 * What tells one set of values from another: the same values have the same fingerprint, in every process. Of secrets their
 * digests go into it, so that a new one makes a new one.
 *
 * Of a whole `Config` it may be shown, as nobody can guess the cookie keys that are part of it. Of less it must not be.
 *
 * @param value plain values, lists, records and secrets
 * @returns 64 hexadecimal digits
 */
export function fingerprint(value: unknown): string {
  // A Secret turns itself into the same word as every other: what it was is asked of the holder.
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key, said) {
    const raw = this[key];
    return raw instanceof Secret ? hash('sha256', raw.reveal()) : said;
  });
  return hash('sha256', text ?? '');
}
