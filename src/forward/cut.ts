import { Failure } from '../failure.ts';

/** Why the right by which something was under way has ended. */
export type Over = 'session_revoked' | 'session_expired' | 'token_expired';

/** Why an answer that has begun cannot be completed. */
export type Cut = 'upstream_lost' | 'shutting_down' | 'body_too_large' | Over;

/** What an RPC is told about it: gRPC's number, Connect's name for the same code, and a sentence. */
export interface CutStatus {
  readonly number: number;
  readonly name: string;
  readonly message: string;
}

const UNAUTHENTICATED = { number: 16, name: 'unauthenticated' } as const;

// Flyte's clients sign in again, and forget their credentials, when a message speaks of authorization.
const statuses: Readonly<Record<Cut, CutStatus>> = {
  upstream_lost: { number: 14, name: 'unavailable', message: 'the service broke off its answer' },
  shutting_down: { number: 14, name: 'unavailable', message: 'the gateway is shutting down: ask again' },
  body_too_large: { number: 8, name: 'resource_exhausted', message: 'the request is larger than this route takes' },
  session_revoked: { ...UNAUTHENTICATED, message: 'the session was signed out: sign in again' },
  session_expired: { ...UNAUTHENTICATED, message: 'the session has ended: sign in again' },
  token_expired: { ...UNAUTHENTICATED, message: 'the bearer token has expired' },
};

export function statusOf(why: Cut): CutStatus {
  return statuses[why];
}

/** How a request ends whose right was over before its answer began: the reply is still to be made. */
export function overBefore(why: Over): { readonly kind: 'failed'; readonly code: Over; readonly cause: Failure } {
  return { kind: 'failed', code: why, cause: new Failure(why, 'over before the answer began') };
}
