import { Failure } from '../failure.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Failed } from './outcome.ts';
import { troubleOf } from './trouble.ts';

/** How a sign-in failed. */
export type LoginFailure = Pick<Failed, 'status' | 'code'> & Partial<Pick<Failed, 'cause' | 'about'>>;

/** What an error of the client, or of our own checks, means to the person who signs in. */
export function failureOf(error: unknown): LoginFailure {
  if (error instanceof Failure && error.code === 'login_exchange_failed')
    return { status: 403, code: error.code, cause: error };
  const trouble = troubleOf(error);
  switch (trouble.kind) {
    case 'unreachable':
      return { status: 503, code: trouble.cause.code, cause: trouble.cause };
    case 'refused':
      return refusedBy(trouble.error);
    case 'subject':
      return { status: 403, code: 'login_subject_mismatch' };
    case 'invalid':
      return { status: 403, code: 'login_exchange_failed', cause: new Failure('login_exchange_failed', trouble.why) };
  }
}

/** `invalid_grant` and its kin come from the token endpoint: our exchange failed. The rest is the provider's no. */
function refusedBy(error: string): LoginFailure {
  const cause = new Failure('login_denied', `the provider said ${error}`);
  if (error === 'temporarily_unavailable' || error === 'server_error')
    return { status: 503, code: 'login_denied', about: error, cause };
  const isExchange = ['invalid_grant', 'invalid_client', 'unauthorized_client', 'unsupported_grant_type'].includes(
    error,
  );
  if (isExchange) return { status: 403, code: 'login_exchange_failed', cause };
  return { status: 403, code: 'login_denied', about: error, cause };
}

/** Counts a failed sign-in, and makes its page. */
export function failed(
  how: LoginFailure & { retry: string; cookies?: readonly string[] },
  needs: { metrics: Metrics },
): Failed {
  needs.metrics.signIn('failed');
  const { cause, about } = how;
  return {
    kind: 'failed',
    status: how.status,
    code: how.code,
    cookies: how.cookies ?? [],
    retry: how.retry,
    ...(cause === undefined ? {} : { cause }),
    ...(about === undefined ? {} : { about }),
  };
}
