import { Failure } from '../failure.ts';
import type { Provider, ProviderMetadata } from './provider.ts';

/**
 * A provider's metadata, with the token endpoint of the settings in place of its own where there is one. That is another
 * address of the same provider, so what else is said of it holds there: how clients prove themselves, for one. Where nothing
 * can be found out the endpoint is asked all the same, by the standard's defaults.
 *
 * @throws {Failure} (by rejecting) `issuer_unreachable`, without a `tokenUrl` only
 */
export async function metadataWith(tokenUrl: string | undefined, provider: Provider): Promise<ProviderMetadata> {
  if (tokenUrl === undefined) return provider.metadata();
  return { issuer: provider.issuer, ...(await metadataIfAny(provider)), token_endpoint: tokenUrl };
}

async function metadataIfAny(provider: Provider): Promise<ProviderMetadata | undefined> {
  try {
    return await provider.metadata();
  } catch (error) {
    // Logged where it was fetched.
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
