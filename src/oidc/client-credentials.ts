import * as openid from 'openid-client';
import { Secret } from '../config/secret.ts';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { configure } from './client.ts';
import { isUnauthorized } from './client-secret.ts';
import type { Outbound } from './outbound.ts';
import type { Provider } from './provider.ts';
import { troubleOf } from './trouble.ts';

/** What the token endpoint said to a client id and its secret. */
export type Granted =
  | { readonly kind: 'token'; readonly accessToken: Secret }
  /** It does not know the client, or not by this secret, or grants it nothing. @property error the OAuth error code */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unavailable'; readonly cause: Failure };

/**
 * Gets access tokens for clients by their own credentials. Nothing that the provider answers to a secret goes into a
 * message or a log but the OAuth error code. Never throws.
 *
 * @param needs.scopes   asked for; none: the provider's own choice
 * @param needs.audience asked for, with providers that want one
 * @see RFC 6749 §4.4
 */
export function createClientCredentials(needs: {
  provider: Provider;
  outbound: Outbound;
  scopes: readonly string[];
  audience?: string;
  now: Clock;
}): (clientId: string, clientSecret: Secret) => Promise<Granted> {
  const parameters: Record<string, string> = {
    ...(needs.scopes.length > 0 && { scope: needs.scopes.join(' ') }),
    ...(needs.audience !== undefined && { audience: needs.audience }),
  };
  return async (clientId, clientSecret) => {
    try {
      const metadata = await needs.provider.metadata();
      const configuration = configure(metadata, { ...needs, clientId, clientSecret });
      const answer = await openid.clientCredentialsGrant(configuration, parameters);
      return { kind: 'token', accessToken: new Secret(answer.access_token) };
    } catch (error) {
      return readTrouble(error);
    }
  };
}

function readTrouble(error: unknown): Granted {
  // Safe: what openid-client throws tells what the provider answered, and is read for that alone.
  const trouble = troubleOf(error);
  switch (trouble.kind) {
    case 'refused':
      return trouble;
    case 'unreachable':
      return { kind: 'unavailable', cause: trouble.cause };
    case 'subject':
    case 'invalid':
      return isUnauthorized(error)
        ? { kind: 'refused', error: 'unknown' }
        : { kind: 'unavailable', cause: new Failure('issuer_unreachable', "the token endpoint's answer is no answer") };
  }
}
