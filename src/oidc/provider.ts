import type { JWTVerifyGetKey } from 'jose';

/** An identity provider as its metadata describes it (OpenID Connect Discovery §3, RFC 8414 §2). */
export interface ProviderMetadata {
  readonly issuer: string;
  readonly authorization_endpoint?: string;
  readonly token_endpoint?: string;
  readonly userinfo_endpoint?: string;
  readonly jwks_uri?: string;
  readonly end_session_endpoint?: string;
  readonly revocation_endpoint?: string;
  readonly authorization_response_iss_parameter_supported?: boolean;
  readonly [name: string]: unknown;
}

export interface Provider {
  /**
   * The metadata: fetched when first asked for, kept fresh; the last good copy outlives an outage.
   * @throws {Failure} `issuer_unreachable`
   */
  metadata(): Promise<ProviderMetadata>;
  /**
   * Finds the key that signed a token, for jose's verifying functions. An unknown kid asks again (throttled, shared); an
   * unreachable JWKS keeps the last good keys.
   * @throws {Failure} `keys_unreachable` when none were ever fetched or an unknown kid could not be asked for;
   * jose's `JWKSNoMatchingKey` when the issuer was asked and does not have it
   */
  readonly keys: JWTVerifyGetKey;
  /** Whether metadata and keys are at hand, for `/readyz`'s body. */
  readonly ready: { readonly metadata: boolean; readonly keys: boolean };
}
