import type { Secret } from '../config/secret.ts';
import type { Millis } from '../config/units.ts';
import type { Failure } from '../failure.ts';
import type { Session } from '../session/session.ts';
import type { Credential } from './credential.ts';
import type { Identity } from './identity.ts';

/** What proof said about one credential. */
export type Authentication =
  | {
      readonly kind: 'proven';
      readonly identity: Identity;
      readonly until: Millis;
      readonly renewedCookie?: string;
      /**
       * A token that speaks for the caller at services behind and is alive at least until `until`; only where it is another
       * than the credential itself: that of a browser session, or what an API key was exchanged for.
       */
      readonly accessToken?: Secret;
    }
  | {
      readonly kind: 'rejected';
      readonly why: RejectionReason;
      /** The same credential may fare better in a moment (a key just rotated in, a clock ahead): not to be remembered. */
      readonly passing?: true;
    }
  | { readonly kind: 'unavailable'; readonly cause: Failure };

export type RejectionReason =
  | 'token_malformed'
  | 'token_untrusted'
  | 'token_expired'
  | 'session_unreadable'
  | 'session_expired'
  | 'session_revoked';

/** A credential that proof can be asked about. */
export type Provable = Extract<Credential, { kind: 'bearer' | 'session' }>;

export type Authenticate = (credential: Provable) => Promise<Authentication>;

/** Renews a session once however many ask; given by `oidc/renew.ts`. Never throws. */
export type Renew = (session: Session) => Promise<Renewal>;

export type Renewal =
  | { readonly kind: 'renewed'; readonly session: Session }
  | { readonly kind: 'refused' } // the provider said invalid_grant: the session is over
  | { readonly kind: 'failed'; readonly cause: Failure }; // could not ask: the session stands as long as its access token

/** Asks each kind of credential's own proof. */
export function createAuthenticate(needs: {
  token: (token: string) => Promise<Authentication>;
  session: (cookie: string) => Promise<Authentication>;
}): Authenticate {
  return (credential) =>
    credential.kind === 'bearer' ? needs.token(credential.token) : needs.session(credential.cookie);
}
