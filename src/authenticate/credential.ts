import { readCookies } from '../server/cookie.ts';
import type { Fields } from '../server/request-head.ts';

/** What a request brings to prove who is asking; at most one, and the exact bytes that decided which. */
export type Credential =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'bearer';
      /** As sent; empty when the header names the scheme but holds no single token. */
      readonly token: string;
      /** Which header it came in: an allow by `authorization` must not be kept by an outside cache. */
      readonly header: 'flyte' | 'authorization';
    }
  | { readonly kind: 'session'; readonly cookie: string }
  | {
      readonly kind: 'refused';
      readonly status: 400 | 401;
      readonly why: 'header_repeated' | 'credentials_differ' | 'session_unreadable';
    };

/** The names that credentials are looked for under. */
export interface CredentialNames {
  /** Configured headers besides `authorization`, lower case; usually `flyte-authorization` alone. */
  readonly flyteHeaders: readonly string[];
  readonly sessionCookie: string;
}

/**
 * Reads the credential of a request: the flyte header's bearer, else `authorization`'s, else the session cookie.
 * Same header twice: 400. Two different bearers, in whichever of the headers: 401. A bearer beside a cookie decides alone. `authorization` of another
 * scheme is no credential. The session cookie twice is `session_unreadable`.
 *
 * A flyte header of another scheme is a bearer without a token: nobody but Flyte's clients sends that header, so what it
 * holds was meant to decide. A header without a value is as good as absent.
 *
 * @see RFC 6750 §2.1: the scheme is compared in any case, and followed by exactly one token
 */
export function readCredential(fields: Fields, names: CredentialNames): Credential {
  const authorization = fields.all('authorization');
  if (authorization.length > 1) return HEADER_REPEATED;
  const token = readBearer(authorization[0]);
  let flyteToken: string | undefined;
  for (const name of names.flyteHeaders) {
    const values = fields.all(name);
    if (values.length > 1) return HEADER_REPEATED;
    const found = readFlyteToken(values[0]);
    if (found !== undefined && flyteToken !== undefined && found !== flyteToken) return CREDENTIALS_DIFFER;
    flyteToken ??= found;
  }
  if (flyteToken !== undefined) {
    if (token !== undefined && token !== flyteToken) return CREDENTIALS_DIFFER;
    return { kind: 'bearer', token: flyteToken, header: 'flyte' };
  }
  if (token !== undefined) return { kind: 'bearer', token, header: 'authorization' };
  return readSession(fields, names.sessionCookie);
}

const NONE = { kind: 'none' } as const;
const HEADER_REPEATED = { kind: 'refused', status: 400, why: 'header_repeated' } as const;
const CREDENTIALS_DIFFER = { kind: 'refused', status: 401, why: 'credentials_differ' } as const;
const SESSION_TWICE = { kind: 'refused', status: 401, why: 'session_unreadable' } as const;

const SCHEME = /^bearer(?![^ \t])/i;
/** RFC 9110 §11.2's token68. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/** The token of a Bearer value: empty when there is none or not exactly one, undefined when the scheme is another. */
function readBearer(value: string | undefined): string | undefined {
  if (value === undefined || !SCHEME.test(value)) return undefined;
  const token = value.slice('bearer'.length).trim();
  return TOKEN.test(token) ? token : '';
}

function readFlyteToken(value: string | undefined): string | undefined {
  if (value === undefined || value.trim() === '') return undefined;
  return readBearer(value) ?? '';
}

function readSession(fields: Fields, name: string): Credential {
  const headers = fields.all('cookie');
  if (headers.length === 0) return NONE;
  // HTTP/2 clients may send one Cookie field per cookie (RFC 9113 §8.2.3).
  const cookies = readCookies(headers.length === 1 ? (headers[0] ?? '') : headers.join('; '), name);
  if (cookies.length === 0) return NONE;
  return cookies.length === 1 ? { kind: 'session', cookie: cookies[0] ?? '' } : SESSION_TWICE;
}
