import type { ClientSecret } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import { troubleOf } from './trouble.ts';

/** Asks the provider something that a client has to prove itself for; undefined: a public client. */
export type AskWith = <T>(ask: (secret: Secret | undefined) => Promise<T>) => Promise<T>;

/**
 * Proves a client by one of two secrets: the one that worked last, and where the provider does not know the client by it, the
 * other one. A request that is refused so was not processed (RFC 6749 §5.2: authentication comes first), and may be sent again.
 */
export function createAskWith({ clientSecret, otherClientSecret }: Partial<ClientSecret>): AskWith {
  let first = clientSecret;
  let second = otherClientSecret;
  return async (ask) => {
    const [tried, other] = [first, second];
    try {
      return await ask(tried);
    } catch (error) {
      if (other === undefined || !isClientUnknown(error)) throw error;
      const answer = await ask(other);
      [first, second] = [other, tried];
      return answer;
    }
  };
}

/** Whether the provider did not take the client for who it says it is. */
function isClientUnknown(error: unknown): boolean {
  const trouble = troubleOf(error);
  if (trouble.kind === 'refused') return trouble.error === 'invalid_client';
  return isUnauthorized(error);
}

/** A 401 whose body is not what RFC 6749 §5.2 promises is still a no. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Response && error.cause.status === 401;
}
