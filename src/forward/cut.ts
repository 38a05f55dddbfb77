/** Why an answer that has begun cannot be completed. */
export type Cut = 'upstream_lost' | 'shutting_down' | 'body_too_large';

/** What an RPC is told about it: gRPC's number, Connect's name for the same code, and a sentence. */
export interface CutStatus {
  readonly number: number;
  readonly name: string;
  readonly message: string;
}

// Flyte's clients sign in again, and forget their credentials, when a message speaks of authorization.
const statuses: Readonly<Record<Cut, CutStatus>> = {
  upstream_lost: { number: 14, name: 'unavailable', message: 'the service broke off its answer' },
  shutting_down: { number: 14, name: 'unavailable', message: 'the gateway is shutting down: ask again' },
  body_too_large: { number: 8, name: 'resource_exhausted', message: 'the request is larger than this route takes' },
};

export function statusOf(why: Cut): CutStatus {
  return statuses[why];
}
