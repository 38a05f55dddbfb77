import * as openid from 'openid-client';
import type { ClientSecret } from '../config/config.ts';
import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { configure } from './client.ts';
import { createAskWith } from './client-secret.ts';
import type { Outbound } from './outbound.ts';
import type { Provider } from './provider.ts';
import { troubleOf } from './trouble.ts';

/** What the provider says of a token. */
export type Introspected =
  | { readonly kind: 'active'; readonly issuer: string; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly kind: 'inactive' }
  | { readonly kind: 'unavailable'; readonly cause: Failure };

/**
 * Asks the provider about opaque tokens. Whatever is no answer by its standard is "could not tell", a refusal of our own
 * client for one. Never throws.
 *
 * @see RFC 7662 §2
 */
export function createIntrospect(
  needs: ClientSecret & { provider: Provider; outbound: Outbound; clientId: string; now: Clock },
): (token: string) => Promise<Introspected> {
  const { outbound, clientId, now } = needs;
  const askWith = createAskWith(needs);
  return async (token) => {
    try {
      const metadata = await needs.provider.metadata();
      if (metadata.introspection_endpoint === undefined)
        throw new Failure('issuer_unreachable', 'the metadata names no introspection_endpoint');
      const said = await askWith((clientSecret) => {
        const configuration = configure(metadata, { outbound, clientId, clientSecret, now });
        return openid.tokenIntrospection(configuration, token, { token_type_hint: 'access_token' });
      });
      return said.active ? { kind: 'active', issuer: metadata.issuer, claims: { ...said } } : { kind: 'inactive' };
    } catch (error) {
      return { kind: 'unavailable', cause: causeOf(error) };
    }
  };
}

function causeOf(error: unknown): Failure {
  const trouble = troubleOf(error);
  switch (trouble.kind) {
    case 'unreachable':
      return trouble.cause;
    case 'refused':
      return new Failure('issuer_unreachable', `the introspection endpoint refused our client: ${trouble.error}`);
    case 'subject':
    case 'invalid':
      return new Failure('issuer_unreachable', "the introspection endpoint's answer is no answer");
  }
}
