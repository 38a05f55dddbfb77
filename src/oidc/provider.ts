import { setTimeout as pause } from 'node:timers/promises';
import type { JWTVerifyGetKey } from 'jose';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { discover, type ProviderMetadata } from './discovery.ts';
import { createKept } from './kept.ts';
import { createKeys } from './keys.ts';
import { createOutage } from './outage.ts';
import type { Outbound } from './outbound.ts';

export type { ProviderMetadata } from './discovery.ts';

export interface Provider {
  /** Exactly what tokens must name as their issuer. */
  readonly issuer: string;
  /**
   * The metadata: fetched when first asked for, kept fresh; the last good copy outlives an outage.
   * @throws {Failure} `issuer_unreachable`
   */
  metadata(): Promise<ProviderMetadata>;
  /**
   * Finds the key that signed a token, for jose's verifying functions. An unknown kid asks again (throttled, shared); an
   * unreachable JWKS keeps the last good keys.
   * @throws {Failure} `keys_unreachable` when none were ever fetched or an unknown kid could not be asked for;
   * jose's `JWKSNoMatchingKey` when the issuer was asked and does not have it
   */
  readonly keys: JWTVerifyGetKey;
  /** The failure when the provider is out of reach right now; asked anew, but not within 5 s of the last answer. Never rejects. */
  outage(): Promise<Failure | undefined>;
  /** The same of its keys' address, whatever keys are at hand. */
  keysOutage(): Promise<Failure | undefined>;
  /** Fetches both before anybody needs them. Never throws: what fails is logged where it happens, and tried again when asked for. */
  warmUp(): void;
}

/** Where an issuer and its documents are. */
export interface ProviderPlace {
  readonly baseUrl: string;
  readonly issuerUrl?: string;
  readonly metadataUrl?: string;
  readonly jwksUrl?: string;
}

/** Nobody who waits for metadata waits through further attempts once so long has passed. */
const patienceMs: Millis = 15_000;

/**
 * @param needs.baseUrl       where discovery is asked; exact, trailing slash and all
 * @param needs.issuerUrl     the issuer's name, when `baseUrl` is an internal address of it; endpoints that the metadata
 * names are used as they are
 * @param needs.metadataUrl   of the metadata document, when it is at no well-known place
 * @param needs.jwksUrl       of the keys, for an issuer without a metadata document: none is asked for then
 * @param needs.retryAttempts attempts in all for one fetch of the metadata, at least 1; none begins after 15 s
 * @param needs.retryDelayMs  between two attempts
 */
export function createProvider(
  needs: ProviderPlace & {
    retryAttempts: number;
    retryDelayMs: Millis;
    outbound: Outbound;
    now: Clock;
    log: Log;
  },
): Provider {
  const issuer = needs.issuerUrl ?? needs.baseUrl;
  const metadata = createKept({
    fetch: () => persistently(() => discover({ ...needs, issuer }), needs),
    now: needs.now,
    onTrouble: (cause) => needs.log.warn('provider.metadata_failed', { issuer, cause }),
  });
  const keys = createKeys({
    jwksUri: async () => {
      if (needs.jwksUrl !== undefined) return needs.jwksUrl;
      const uri = (await metadata.get()).jwks_uri;
      if (uri === undefined) throw new Failure('keys_unreachable', 'the metadata names no jwks_uri');
      return uri;
    },
    outbound: needs.outbound,
    now: needs.now,
    onTrouble: (cause) => needs.log.warn('provider.keys_failed', { issuer, cause }),
  });
  return {
    issuer,
    metadata: metadata.get,
    keys: keys.find,
    outage: createOutage({
      // One attempt, and its outcome changes nothing of what is kept.
      ask: () => (needs.jwksUrl === undefined ? discover({ ...needs, issuer }) : keys.ask()),
      issuer,
      now: needs.now,
    }),
    keysOutage: createOutage({ ask: keys.ask, issuer, now: needs.now }),
    warmUp: keys.warmUp,
  };
}

async function persistently<T>(
  attempt: () => Promise<T>,
  limits: { retryAttempts: number; retryDelayMs: Millis; now: Clock },
): Promise<T> {
  const until = limits.now() + patienceMs;
  for (let left = limits.retryAttempts; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 1 || limits.now() + limits.retryDelayMs > until) throw error;
      await pause(limits.retryDelayMs);
    }
  }
}
