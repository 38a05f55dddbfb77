import { hash } from 'node:crypto';

/** SHA-256 in base64url, 43 characters: names a secret, or a person in the log, without telling it. */
export function digest(value: string): string {
  return hash('sha256', value, 'base64url');
}
