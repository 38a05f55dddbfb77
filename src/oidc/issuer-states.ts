import type { Millis } from '../config/units.ts';
import type { IssuerState } from '../observe/metrics.ts';
import type { Provider } from './provider.ts';

/** Whoever asks how we are does not wait longer, however long a provider hangs. */
const PATIENCE_MS: Millis = 1000;

/**
 * How issuers are right now: asked at most every 5 s each, however often this is called. One that takes over a second does not
 * answer. Never rejects.
 */
export async function issuerStates(issuers: Iterable<Provider>): Promise<readonly IssuerState[]> {
  return Promise.all(
    [...issuers].map(async ({ issuer, outage, keysOutage }) => {
      const [isUp, areKeysUp] = await Promise.all([isOver(outage()), isOver(keysOutage())]);
      return { issuer, isUp, areKeysUp };
    }),
  );
}

async function isOver(outage: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<'no answer yet'>();
  const timer = setTimeout(resolve, PATIENCE_MS, 'no answer yet');
  return (await Promise.race([outage, promise]).finally(() => clearTimeout(timer))) === undefined;
}
