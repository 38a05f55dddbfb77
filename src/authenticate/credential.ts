import type { Fields } from '../server/request-head.ts';

/** What a request brings to prove who is asking; at most one, and the exact bytes that decided which. */
export type Credential =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'bearer';
      readonly token: string;
      /** Which header it came in: an allow by `authorization` must not be kept by an outside cache. */
      readonly header: 'flyte' | 'authorization';
    }
  | { readonly kind: 'session'; readonly cookie: string }
  | { readonly kind: 'refused'; readonly status: 400 | 401; readonly why: 'header_repeated' | 'credentials_differ' | 'session_unreadable' };

/** The names that credentials are looked for under. */
export interface CredentialNames {
  /** Configured header, lower case; usually `flyte-authorization`. */
  readonly flyteHeader: string;
  readonly sessionCookie: string;
}

/**
 * Reads the credential of a request: the flyte header's bearer, else `authorization`'s, else the session cookie.
 * Same header twice: 400. Two different bearers: 401. A bearer beside a cookie decides alone. `authorization` of another
 * scheme is no credential. The session cookie twice is `session_unreadable`.
 */
export function readCredential(_fields: Fields, _names: CredentialNames): Credential {
  throw new Error('unwritten');
}
