import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Secret } from '../config/secret.ts';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { personDigest } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { ApiKey } from './api-key.ts';
import type { Authentication } from './authenticate.ts';
import type { Enter, Entered } from './enter.ts';

/** What the provider said to a client id and its secret. */
export type Obtained =
  | { readonly kind: 'token'; readonly accessToken: Secret }
  /** @property error the OAuth error code, for the log */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unavailable'; readonly cause: Failure };

/** Asks for an access token by client credentials (RFC 6749 §4.4). Has a deadline; never throws. */
export type ObtainToken = (clientId: string, clientSecret: Secret) => Promise<Obtained>;

export interface ApiKeyNeeds {
  readonly obtain: ObtainToken;
  /** Proves an access token that came of an exchange, like any other. */
  readonly prove: (accessToken: string, address: string) => Promise<Authentication>;
  /** Hosts of ours, in lower case, without ports. */
  readonly hosts: ReadonlySet<string>;
  readonly enter: Enter;
  readonly metrics: Pick<Metrics, 'apiKey'>;
  readonly log: Log;
  readonly now: Clock;
}

/** Tokens kept at most, and the keys that worked. */
const MAX_KEYS = 10_000;
const MAX_TOKEN_BYTES = 32 * 1024 * 1024;
/** What an entry takes besides its token, estimated. */
const ENTRY_BYTES = 500;
/** A token is exchanged anew so long before it dies, or a tenth of what it has left where that is less. */
const EARLY: Millis = 30_000;
/** After "not now" keys that never worked are not tried for so long: outages cost no tries, so nothing else slows those down. */
const REST: Millis = 1000;

const FREE: Entered = { kind: 'go', end: () => undefined };

interface Kept {
  readonly accessToken: Secret;
  readonly until: Millis;
}

type Proven = Extract<Authentication, { kind: 'proven' }>;

/**
 * Proves an API key: exchanged once at the provider, and the token kept under the key's digest until shortly before it dies.
 *
 * Whatever the key says, nothing is dialled but the provider, and only for a key that names a host of ours. The identity is
 * the app's, out of a token that is proved like any other. One exchange at a time for one key, whoever asks.
 *
 * @returns a function of a key, the bearer token as it came, and the caller's address; never throws
 */
export function createAuthenticateApiKey(
  needs: ApiKeyNeeds,
): (key: ApiKey, token: string, address: string) => Promise<Authentication> {
  const tokens = new LRUCache<string, Kept>({ max: MAX_KEYS, maxSize: MAX_TOKEN_BYTES });
  const known = new LRUCache<string, true>({ max: MAX_KEYS });
  // As many as requests are open; each leaves at the end of its exchange, which has a deadline.
  const underWay = new Map<string, Promise<Authentication>>();
  const exchange = createExchange(needs, { tokens, known });
  return async (key, token, address) => {
    if (!needs.hosts.has(key.host)) return refuse(needs, { error: 'host', clientId: key.clientId });
    // Hashed once more before anything is kept: who could read this memory must not find a key in it.
    const digest = hash('sha256', token, 'base64url');
    const kept = tokens.get(digest);
    if (kept && needs.now() < kept.until) {
      const proof = await needs.prove(kept.accessToken.reveal(), address);
      if (proof.kind !== 'rejected') return asApp(proof, key, kept);
      tokens.delete(digest);
    }
    const shared = underWay.get(digest) ?? exchange(key, digest, address).finally(() => underWay.delete(digest));
    underWay.set(digest, shared);
    return shared;
  };
}

function createExchange(
  needs: ApiKeyNeeds,
  { tokens, known }: { tokens: LRUCache<string, Kept>; known: LRUCache<string, true> },
): (key: ApiKey, digest: string, address: string) => Promise<Authentication> {
  let trouble: { readonly cause: Failure; readonly at: Millis } | undefined;
  return async (key, digest, address) => {
    const isKnown = known.has(digest);
    if (!isKnown && trouble && needs.now() - trouble.at < REST) return unavailable(needs, trouble.cause);
    // Nobody is locked out by what others guess: a key that worked before has a try of its own, until it fails.
    const entered = isKnown ? FREE : await needs.enter({ client: key.clientId, address });
    if (entered.kind === 'refused') return limited(needs, entered.by);
    if (entered.kind === 'full')
      return unavailable(needs, new Failure('issuer_unreachable', 'too many exchanges wait'));
    let outcome: Exchanged['outcome'] = 'unknown';
    try {
      const exchanged = await exchangeOnce(key, address, needs);
      outcome = exchanged.outcome;
      trouble = exchanged.outcome === 'unknown' ? { cause: exchanged.cause, at: needs.now() } : undefined;
      if (exchanged.outcome === 'failed') known.delete(digest);
      if (exchanged.outcome === 'succeeded') {
        tokens.set(digest, exchanged.kept, { size: exchanged.kept.accessToken.reveal().length + ENTRY_BYTES });
        known.set(digest, true);
      }
      return exchanged.authentication;
    } finally {
      entered.end(outcome);
    }
  };
}

type Exchanged = { readonly authentication: Authentication } & (
  | { readonly outcome: 'succeeded'; readonly kept: Kept }
  | { readonly outcome: 'failed' }
  | { readonly outcome: 'unknown'; readonly cause: Failure }
);

async function exchangeOnce(key: ApiKey, address: string, needs: ApiKeyNeeds): Promise<Exchanged> {
  const { clientId } = key;
  const couldNotTell = (cause: Failure): Exchanged => ({
    outcome: 'unknown',
    cause,
    authentication: unavailable(needs, cause),
  });
  const obtained = await needs.obtain(clientId, key.clientSecret);
  if (obtained.kind === 'unavailable') return couldNotTell(obtained.cause);
  if (obtained.kind === 'refused')
    return { outcome: 'failed', authentication: refuse(needs, { error: obtained.error, clientId }) };
  const { accessToken } = obtained;
  const proof = await needs.prove(accessToken.reveal(), address);
  if (proof.kind === 'unavailable') return couldNotTell(proof.cause);
  // Fresh from the provider: the key that signed it may be newer than those at hand, or the clocks apart.
  if (proof.kind === 'rejected' && proof.passing)
    return couldNotTell(new Failure('keys_unreachable', `the token that was obtained is not good yet: ${proof.why}`));
  // A token that is of no use here costs as much as a wrong secret.
  if (proof.kind === 'rejected')
    return { outcome: 'failed', authentication: refuse(needs, { error: proof.why, clientId }) };
  const kept = { accessToken, until: renewalOf(proof.until, needs.now()) };
  needs.metrics.apiKey('exchanged');
  needs.log.info('api_key.exchanged', { clientId, issuer: proof.identity.issuer });
  return { outcome: 'succeeded', kept, authentication: asApp(proof, key, kept) };
}

function renewalOf(until: Millis, now: Millis): Millis {
  return until - Math.min(EARLY, (until - now) / 10);
}

/** Client credentials stand for an app, however the token speaks of it. */
function asApp(proof: Exclude<Authentication, { kind: 'rejected' }>, key: ApiKey, kept: Kept): Authentication {
  if (proof.kind === 'unavailable') return proof;
  const { clientId = key.clientId } = proof.identity;
  const identity: Proven['identity'] = { ...proof.identity, kind: 'app', clientId };
  const until = Math.min(proof.until, kept.until);
  return { kind: 'proven', identity, until, bearer: { kind: 'obtained', accessToken: kept.accessToken } };
}

/** The client id of a key that is no good may be anything, a secret in the wrong place for one: only its digest is told. */
function refuse(needs: ApiKeyNeeds, { error, clientId }: { error: string; clientId: string }): Authentication {
  needs.metrics.apiKey('refused');
  needs.log.info('api_key.refused', { error, client: personDigest('', clientId) });
  return { kind: 'rejected', why: 'api_key_refused' };
}

function limited(needs: ApiKeyNeeds, by: string): Authentication {
  needs.metrics.apiKey('limited');
  needs.log.debug('api_key.limited', { by });
  return { kind: 'rejected', why: 'api_key_limited', passing: true };
}

function unavailable(needs: ApiKeyNeeds, cause: Failure): Authentication {
  needs.metrics.apiKey('unavailable');
  return { kind: 'unavailable', cause };
}
