import type { Config, RedisSettings } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { Failure } from './failure.ts';
import { personDigest } from './observe/facts.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { alone, aloneWithSessions, type Coordination, type SharedCoordination } from './oidc/coordination.ts';
import { createHeardTokens, type HeardTokens } from './oidc/heard-tokens.ts';
import { createRedisCoordination } from './oidc/redis-coordination.ts';
import { createRedisHeardTokens } from './oidc/redis-heard-tokens.ts';
import { createRedis, type Redis } from './redis/redis.ts';
import { createCookieStore } from './session/cookie-store.ts';
import { endSession } from './session/end-session.ts';
import { handleOf } from './session/marks.ts';
import { createMemoryStore } from './session/memory-store.ts';
import { createRedisRevocations } from './session/redis-revocations.ts';
import { createRedisStore } from './session/redis-store.ts';
import { createRevocations, type KnownRevocations, type Revocation, type Revocations } from './session/revocations.ts';
import type { Seal } from './session/seal.ts';
import type { Session } from './session/session.ts';
import type { SessionStore } from './session/store.ts';

/** What outlives a request, and where the settings say so is shared by all replicas. */
export interface SharedState {
  readonly store: SessionStore;
  readonly revocations: Revocations;
  readonly coordination: Coordination;
  /** Logout tokens that were used. */
  readonly heard: HeardTokens;
  /** Begins to connect. Resolves when a first attempt has ended, well or not; further ones go on behind it. Never rejects. */
  start(): Promise<void>;
  close(): void;
  /** There are other keys to open with: what could not be opened before is looked at once more. */
  reread(): void;
  /** What does not work, for `/readyz`. */
  missing(): readonly string[];
}

export interface SharedStateNeeds {
  readonly config: Config;
  /** Of Redis, as they are now: its password may change. */
  readonly redis: () => RedisSettings | undefined;
  readonly seal: Seal;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
}

/** Revocations kept at most: sign-outs within the lifetime of a session. About 400 bytes each. */
const MAX_REVOCATIONS = 500_000;
/** Of these one person's: a script that signs in and out makes room among its own. */
const MAX_OF_PERSON = 1000;

/** Sessions, sign-outs and renewals, as the settings have them kept. Nothing is opened yet. */
export function createSharedState(needs: SharedStateNeeds): SharedState {
  const { config, log, now } = needs;
  const onFull = (instead: Revocation) => noteFull(instead, log);
  const local = createRevocations({ now, max: MAX_REVOCATIONS, maxOfPerson: MAX_OF_PERSON, onFull });
  const { redis: settings } = config;
  if (!settings) {
    const store = createStore(needs, undefined);
    const isKeptHere = config.session.store === 'memory';
    return {
      ...{ store, revocations: local },
      coordination: isKeptHere ? aloneWithSessions(createEndOver({ ...needs, store, revocations: local })) : alone,
      heard: createHeardTokens({ now }),
      start: async () => {},
      close: () => {},
      reread: () => {},
      missing: () => [],
    };
  }
  return createReplicated(needs, settings, local);
}

function noteFull({ of, at }: Revocation, log: Log): void {
  const upTo = new Date(at).toISOString();
  if (of.kind === 'everybody') log.error('session.sign_outs_full', { max: MAX_REVOCATIONS, refusedUpTo: upTo });
  else if (of.kind === 'person')
    log.warn('session.sign_outs_of_person', {
      ...{ max: MAX_OF_PERSON, refusedUpTo: upTo, issuer: of.issuer },
      subject: personDigest(of.issuer, of.subject),
    });
}

/** The same where there is a Redis: sign-outs are everybody's. */
function createReplicated(needs: SharedStateNeeds, settings: RedisSettings, local: KnownRevocations): SharedState {
  const { config, metrics } = needs;
  const connect = (role: 'commands' | 'listener') =>
    createRedis({ ...needs, settings: () => needs.redis() ?? settings, role });
  const [redis, listener] = [connect('commands'), connect('listener')];
  const { absoluteMs } = config.session;
  const shared = createRedisRevocations({ ...needs, local, commands: redis, listener, absoluteMs });
  const cannotTell = () => (shared.isCurrent() ? undefined : UNKNOWN);
  metrics.watchRedis(() => ({
    up: { commands: redis.state.isUp, listener: listener.state.isUp },
    isCurrent: shared.isCurrent(),
  }));
  const kept = createStore(needs, redis);
  const coordination = createRedisCoordination({
    ...{ ...needs, redis, limits: config.session, leaseMs: config.auth.timeoutMs + LEASE_MARGIN_MS },
    onOver: createEndOver({ ...needs, store: kept, revocations: shared }),
  });
  return {
    store: noteBegun(kept, coordination),
    revocations: config.revocations === 'required' ? { ...shared, cannotTell } : shared,
    coordination,
    heard: createRedisHeardTokens({ ...needs, redis }),
    start: async () => {
      await Promise.all([redis.start(), shared.start()]);
    },
    close: () => {
      shared.close();
      redis.close();
    },
    reread: shared.reread,
    missing: () => [...(redis.state.isUp ? [] : ['redis']), ...(shared.isCurrent() ? [] : ['sign-outs elsewhere'])],
  };
}

/** Ends what a provider will not renew, like a sign-out: at every replica, with what is open there, and in the list. */
function createEndOver(
  needs: SharedStateNeeds & Pick<SharedState, 'store' | 'revocations'>,
): (session: Session) => void {
  const { config, log } = needs;
  return (session) => {
    const facts = { session: handleOf(session.id) };
    log.info('session.over', facts);
    // Safe: it is refused here from now on, and is told with whatever else is not there when Redis is back.
    endSession(session, { ...needs, limits: config.session }).catch((cause: unknown) =>
      log.warn('session.over_not_told', { ...facts, cause }),
    );
  };
}

/** The same store; replicas are told of new sessions in the background. */
function noteBegun(store: SessionStore, coordination: SharedCoordination): SessionStore {
  return {
    ...store,
    create: async (session, from) => {
      const cookie = await store.create(session, from);
      // Safe: without it a no of the provider ends what is open at the replica that hears it, and no more.
      coordination.began(session).catch(() => undefined);
      return cookie;
    },
  };
}

/** Between the last moment at which a provider may answer and the first at which somebody else may ask. */
const LEASE_MARGIN_MS = 2000;

const UNKNOWN = new Failure('store_unreachable', 'nobody knows who was signed out elsewhere: revocations are required');

function createStore({ config, seal, log, now }: SharedStateNeeds, redis: Redis | undefined): SessionStore {
  const { store, maxSessions, idleMs, absoluteMs } = config.session;
  switch (store) {
    case 'cookie':
      return createCookieStore({ seal });
    case 'memory':
      return createMemoryStore({
        seal,
        now,
        max: maxSessions,
        idleMs,
        absoluteMs,
        onEvict: (_id, madeRoomFor) => log.warn('session.evicted', { madeRoomFor }),
      });
    case 'redis':
      if (!redis) throw new Failure('config_invalid', 'session.store: redis without a Redis');
      return createRedisStore({ redis, seal, limits: config.session, now, log });
  }
}
