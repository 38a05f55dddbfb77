import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Provider, ProviderMetadata } from './provider.ts';

/**
 * A provider's metadata, with the token endpoint of the settings in place of its own where there is one. That is another
 * address of the same provider, so what else is said of it holds there: how clients prove themselves, for one. Where nothing
 * can be found out, or not soon, the endpoint is asked all the same, by the standard's defaults.
 *
 * @throws {Failure} (by rejecting) `issuer_unreachable`, without a `tokenUrl` only
 */
export async function metadataWith(tokenUrl: string | undefined, provider: Provider): Promise<ProviderMetadata> {
  if (tokenUrl === undefined) return provider.metadata();
  return { issuer: provider.issuer, ...(await metadataIfAny(provider)), token_endpoint: tokenUrl };
}

/** A provider that hangs is asked for as long as its timeouts and second tries have it: somebody may be waiting for a token meanwhile. */
const PATIENCE_MS: Millis = 2000;

async function metadataIfAny(provider: Provider): Promise<ProviderMetadata | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, PATIENCE_MS, undefined);
  try {
    return await Promise.race([provider.metadata(), late.promise]);
  } catch (error) {
    // Logged where it was fetched.
    if (error instanceof Failure) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
