import { type CheckName, type Finding, ok, problem, unknown } from './finding.ts';

/** What an endpoint meant for browsers said to a question that nobody has signed in for. */
export interface Answered {
  readonly status: number;
  readonly location: string | undefined;
  /** Of the page, as far as it is looked at. */
  readonly text: string;
}

/** What was asked for. */
export interface AskedFor {
  readonly check: CheckName;
  /** As the settings call it. */
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
}

/** RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6, and what well-known providers say besides. */
const ERROR =
  /\b(?:invalid_redirect_uri|redirect_uri_mismatch|invalid_redirect|unauthorized_client|invalid_client|unknown_client|invalid_request|invalid_scope|access_denied|unsupported_response_type|AADSTS\d{5,8})\b/;

/** What a provider says that would now ask a person, and may not by `prompt=none`: it took everything else. */
const WOULD_ASK = new Set(['login_required', 'interaction_required', 'consent_required', 'account_selection_required']);
const NOT_NOW = new Set(['temporarily_unavailable', 'server_error']);

/**
 * Whether an authorization endpoint takes a client with its redirect URI. Only a provider that knows the URI sends anybody back
 * to it, be it with an error (RFC 6749 §4.1.2.1): asked with `prompt=none` it has no other way to answer, asked
 * without it goes on to a page of its own.
 */
export function judgeAuthorize(answer: Answered, asked: AskedFor): Finding {
  const { check, clientId, redirectUri } = asked;
  const { status, location } = answer;
  if (status === 429 || status >= 500) return unknown(check, `the provider answered ${status}`, 'try again later');
  const back = status >= 300 && status < 400 ? URL.parse(location ?? '') : null;
  if (back && isSame(back, redirectUri)) return judgeBack(back.searchParams.get('error'), asked);
  const error = ERROR.exec(back?.search ?? answer.text)?.[0];
  if (back && error === undefined)
    return ok(check, `the provider takes ${redirectUri} for ${clientId}, and goes on to a page of its own`);
  if (status >= 400 || error !== undefined) return refused(asked, error ?? `status ${status}`);
  return unknown(
    check,
    `the provider answered with a page (${status}) where it should send ${clientId} back to ${redirectUri}`,
    'sign in with a browser and read that page',
  );
}

function judgeBack(error: string | null, asked: AskedFor): Finding {
  const { check, clientId, redirectUri, scopes } = asked;
  if (error === null || WOULD_ASK.has(error)) return ok(check, `the provider sends ${clientId} back to ${redirectUri}`);
  const code = /^[a-z_.-]{1,64}$/.test(error) ? error : 'an error of no known form';
  if (NOT_NOW.has(code)) return unknown(check, `the provider answered ${code}`, 'try again later');
  const says = `the provider knows ${redirectUri}, and answers ${clientId} ${code}`;
  switch (code) {
    case 'invalid_scope':
      return problem(
        check,
        `${says}: it was asked for ${scopes.join(' ')}`,
        'make these scopes there, and allow them for this app',
      );
    case 'unauthorized_client':
    case 'unsupported_response_type':
      return problem(check, says, 'turn the grant type authorization_code on for this app');
    case 'access_denied':
      return problem(check, says, "put this app into the authorization server's access policy");
    default:
      return problem(check, says, 'read what the provider logs about it');
  }
}

function refused({ check, clientId, redirectUri }: AskedFor, why: string): Finding {
  const isClient = why === 'invalid_client' || why === 'unknown_client';
  return problem(
    check,
    `the provider does not take ${redirectUri} for the client ${clientId} (${why})`,
    isClient
      ? `there is no app with the client id ${clientId} at this issuer: compare it, and the issuer`
      : `register ${redirectUri}, to the letter, as sign-in redirect URI of ${clientId}, if that is a client of this issuer`,
  );
}

/**
 * Whether the provider takes the place to come back to after signing out. Many ask the person first, or want an ID token
 * before they look at anything else: then nothing can be told.
 *
 * @see OpenID Connect RP-Initiated Logout 1.0 §3
 */
export function judgeSignOut(answer: Answered, asked: AskedFor): Finding {
  const { check, clientId, redirectUri } = asked;
  const { status, text } = answer;
  if (status < 400) return ok(check, `the provider takes ${redirectUri} for ${clientId}`);
  const isAbout = /post_logout_redirect_uri|redirect[ _]?ur[il]/i.test(text);
  if (status < 500 && status !== 429 && isAbout)
    return problem(
      check,
      `the provider does not take ${redirectUri} for ${clientId} (status ${status})`,
      `register ${redirectUri}, to the letter, as sign-out redirect URI (post logout redirect URI) of ${clientId}`,
    );
  return unknown(
    check,
    `the provider answered ${status} before it looked at ${redirectUri}`,
    'see whether it is registered as sign-out redirect URI: sign in, then out',
  );
}

function isSame(location: URL, uri: string): boolean {
  const wanted = URL.parse(uri);
  if (wanted === null) return false;
  // Not `origin`, which is null for the schemes of native apps.
  return (['protocol', 'host', 'pathname'] as const).every((part) => location[part] === wanted[part]);
}
