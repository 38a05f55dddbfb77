/**
 * Everything that can go wrong, by a stable name: the name is in the log, on the error page and in the API answer,
 * and never changes its meaning. The sentence says what it means to the operator who meets it.
 */
export const failureCodes = {
  // The request as it arrived
  target_refused: 'the request target could be read in two ways (dot segments, encoded slashes, control bytes …)',
  method_refused: 'the method is never forwarded (CONNECT, TRACE)',
  request_malformed:
    'the request breaks HTTP (no Host or a malformed one, an unknown transfer coding, method or expectation)',
  header_repeated: 'a header that must be single (Host, a credential) came more than once',
  headers_too_many: 'the request carried more header fields, or bytes of them, than server.limits allows',
  message_malformed: 'a call of one of Flyte’s services carried a message that cannot be decoded',
  body_too_large: 'the request body is larger than its route takes (routes[].maxBody)',
  host_mismatch: 'the request named two different hosts',
  host_unknown:
    'one of the gateway’s own URLs was asked for on a host that is neither an authorized URI nor named by a route',
  route_unknown: 'no route matches the host and path',
  // Who is asking
  credentials_differ: 'two different bearer tokens came in one request',
  credential_missing: 'no credential came with the request',
  token_malformed: 'the bearer token is not a well-formed access token',
  token_untrusted: 'the bearer token is not signed by a trusted issuer for this audience',
  api_key_refused: 'the API key is not accepted: another host’s, or the provider refused its client or secret',
  api_key_limited: 'too many API keys failed lately, of that client, from that address or in all: nothing was asked',
  token_expired: 'the bearer token is past its expiry, or not valid yet: compare the clocks',
  session_unreadable: 'the session cookie could not be opened (another key, damaged, or sent twice)',
  session_expired: 'the session reached its idle or absolute limit, or could no longer be renewed',
  session_revoked: 'the session was signed out',
  // May they
  scope_missing: 'the token lacks the scope that the gateway asks for',
  origin_refused: 'a request with only a cookie came from a page of another origin',
  // Could not tell
  issuer_unreachable: 'the identity provider did not answer, or not with what its standard promises',
  keys_unreachable: "the issuer's signing keys could not be fetched and none are cached",
  introspection_limited: 'too many unknown opaque tokens came lately, from that address or in all: nothing was asked',
  renewal_failed: 'the session is due for renewal and the provider could not be asked',
  store_unreachable: 'the session store, or what coordinates replicas, did not answer',
  service_token_failed: "the gateway's own service app got no token to send to the service behind",
  // Signing in and out
  redirect_refused:
    'redirect_url is neither a path of this host nor under an authorized URI or an app’s host that the session reaches',
  login_state_missing:
    'the browser that came back is not the one that left, took longer than ten minutes, or came a second time',
  login_state_invalid: 'the state parameter was not made by this gateway, or was damaged',
  login_denied: 'the identity provider answered the sign-in with an error',
  login_exchange_failed: 'the authorization code could not be redeemed, or the ID token did not verify',
  login_subject_mismatch: 'userinfo and ID token speak of two different people',
  login_loop: 'sign-in succeeded several times in a row but no session came back: cookies are blocked or overwritten',
  login_method: 'sign-in pages are opened by navigation, with GET',
  session_too_large: 'the session does not fit where it is kept: use session.store: redis or memory, or fewer claims',
  // Passing it on
  upstream_unreachable: 'no connection to the upstream could be made',
  upstream_timeout: 'the upstream did not answer in time',
  upstream_broken: 'the upstream broke the connection or answered something that is not HTTP',
  // Ourselves
  shutting_down: 'the gateway was told to stop, and server.drain was over before the answer began',
  config_invalid: 'the settings have mistakes',
  internal: 'a mistake in the gateway: please report it with its reference',
} as const;

export type FailureCode = keyof typeof failureCodes;

/** An expected way to fail, with a stable code for machines and a message for the operator (never for the caller). */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;

  /**
   * @param code    what happened, from the closed list above
   * @param message what the operator should know: facts, never a secret
   */
  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
