import { hash } from 'node:crypto';
import type { Provable } from '../authenticate/authenticate.ts';

/**
 * The key that a decision is remembered under: where the credential came in (session cookie, flyte header, authorization),
 * the rule and the SHA-256 of the credential's exact bytes, each with its length before it, so that no two requests that
 * could be decided differently share one. Only what decides counts: a cookie beside a bearer token has no part in it.
 *
 * The credential itself cannot be read back out of a key.
 */
export function credentialKey(credential: Provable, rule: string): string {
  const isSession = credential.kind === 'session';
  const place = isSession ? 'session' : credential.header;
  const value = isSession ? credential.cookie : credential.token;
  // The value is hashed alone: joined to the rest, two kilobytes would have to be copied first, which costs as much again.
  return `${place} ${rule.length}:${rule} ${value.length}:${hash('sha256', value, 'base64url')}`;
}
