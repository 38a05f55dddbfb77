import type { FailureCode } from '../failure.ts';
import type { Whereabouts } from '../session/session-list.ts';

/**
 * What a sign-in or sign-out step comes to; `answer/pages.ts` shows it. Cookies are whole Set-Cookie values.
 */
export type Outcome =
  | { readonly kind: 'redirect'; readonly to: string; readonly cookies: readonly string[] }
  /** 200 with a refresh: under SameSite=Strict a redirect from another site would come back without the cookie. */
  | { readonly kind: 'refresh'; readonly to: string; readonly cookies: readonly string[] }
  | Failed
  /** A page that asks before signing out; its form goes to `to` by POST. */
  | { readonly kind: 'confirm-logout'; readonly to: string; readonly cookies: readonly string[] }
  | { readonly kind: 'signed-out'; readonly cookies: readonly string[] };

/** A page a person can act on: what happened, what to try, the reference. */
export interface Failed {
  readonly kind: 'failed';
  readonly status: 400 | 401 | 403 | 503;
  readonly code: FailureCode;
  readonly cookies: readonly string[];
  /** A local path to try again. */
  readonly retry?: string;
  /** For the log only. */
  readonly cause?: unknown;
  /**
   * With `login_denied`: the provider's OAuth error code (letters, digits, `_.-`; RFC 6749 §4.1.2.1, Core §3.1.2.6), or
   * `unknown`. With `session_too_large`: what is to blame, e.g. `the claim groups`.
   */
  readonly about?: string;
}

/** What the steps see of a request to one of the gateway's own URLs. */
export interface OidcRequest {
  readonly method: string;
  /** Raw query, with or without the `?`. */
  readonly query: string;
  /** The authorized URI that the request came to, e.g. `https://flyte.example.com`. */
  readonly origin: string;
  /** All Cookie fields joined with `; `. */
  readonly cookies: string;
  /** `Sec-Fetch-Mode`, `Sec-Fetch-Site`, as sent. */
  readonly fetchMode?: string;
  readonly fetchSite?: string;
  /** Believed `X-Auth-Request-Redirect`, from a trusted proxy only. */
  readonly proxiedReturnTo?: string;
  /** `Origin`, as sent. */
  readonly pageOrigin?: string;
  /** Where it came from: kept with a session that begins by it. */
  readonly from: Whereabouts;
  /** Reference of the request in the log. */
  readonly id: string;
}
