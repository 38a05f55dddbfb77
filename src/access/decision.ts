import type { ProvenBearer } from '../authenticate/authenticate.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { Secret } from '../config/secret.ts';
import type { Millis } from '../config/units.ts';
import type { Failure } from '../failure.ts';

/**
 * May they? One closed union for proxying and for nginx's check alike; how a caller hears it is `answer`'s business.
 */
export type Decision =
  | {
      readonly kind: 'allow';
      readonly identity: Identity;
      /** The decision may be reused until then: its age limit, renewal, next re-seal or expiry, whichever is first. */
      readonly until: Millis;
      /** The session changed: this cookie value replaces the one that came. */
      readonly renewedCookie?: string;
      /** See `Authentication`. */
      readonly accessToken?: Secret;
      /** What services behind may be given of a bearer's proof; absent: nothing. */
      readonly bearer?: ProvenBearer;
    }
  | {
      readonly kind: 'sign-in';
      readonly why: SignInReason;
      /** The cookie that came is worthless: tell the browser to forget it. */
      readonly clearCookie: boolean;
    }
  | { readonly kind: 'deny'; readonly why: 'origin_refused' }
  | {
      readonly kind: 'deny';
      readonly why: 'scope_missing';
      /** The scope that is asked of this token: each issuer may have its own. */
      readonly missing: string;
    }
  // Could not tell: never cached, never a yes, never a way to sign someone out.
  | { readonly kind: 'unavailable'; readonly cause: Failure };

export type SignInReason =
  | 'credential_missing'
  | 'credentials_differ'
  | 'token_malformed'
  | 'token_untrusted'
  | 'token_expired'
  | 'api_key_refused'
  | 'api_key_limited'
  | 'session_unreadable'
  | 'session_expired'
  | 'session_revoked';
