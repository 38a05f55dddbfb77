import type { Config, RedisSettings } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { createUnderWay, type UnderWay } from './forward/under-way.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Client } from './oidc/client.ts';
import type { HeardTokens } from './oidc/heard-tokens.ts';
import type { Outbound } from './oidc/outbound.ts';
import { createRenew, type Renewer } from './oidc/renew.ts';
import { createSignInLoop, type SignInLoop } from './oidc/sign-in-loop.ts';
import type { Revocations } from './session/revocations.ts';
import type { Seal } from './session/seal.ts';
import type { SessionStore } from './session/store.ts';
import { createSharedState, type SharedState } from './shared-state.ts';

/** What the settings in force have made, for those who outlive them. */
export interface Newest {
  readonly outbound: Outbound;
  readonly client: Client;
  readonly seal: Seal;
  /** Claims that sessions keep. */
  readonly claims: readonly string[];
  readonly redis: RedisSettings | undefined;
}

/** What lives as long as the process, through every change of settings: nobody is signed out by one. */
export interface Lasting {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
  /** With other replicas, where the settings say so. */
  readonly shared: Pick<SharedState, 'start' | 'close' | 'missing'>;
  readonly revocations: Revocations;
  readonly store: SessionStore;
  /** One memory of spent refresh tokens, whatever the settings were when they were spent. */
  readonly renewer: Renewer;
  readonly loop: SignInLoop;
  /** Logout tokens that were used. */
  readonly heard: HeardTokens;
  /** What is open on behalf of somebody. */
  readonly underWay: UnderWay;
  /** Speaks to providers as the newest settings say; never closed. */
  readonly outbound: Outbound;
  /** From now on these are the newest. */
  follow(newest: Newest): void;
}

/** @param config of the start: what it says of `session` holds as long as the process */
export function createLasting(config: Config, needs: { log: Log; metrics: Metrics; now: Clock }): Lasting {
  const { log, metrics, now } = needs;
  let newest: Newest | undefined;
  const current = (): Newest => {
    if (newest === undefined) throw new TypeError('asked before there were settings');
    return newest;
  };
  const seal: Seal = {
    seal: (purpose, payload) => current().seal.seal(purpose, payload),
    open: (purpose, sealed) => current().seal.open(purpose, sealed),
  };
  const redis = () => (newest ? newest.redis : config.redis);
  const shared = createSharedState({ ...needs, config, redis, seal });
  const { store, revocations, coordination } = shared;
  const underWay = createUnderWay({ isRevoked: revocations.isRevoked, now, log, metrics });
  revocations.subscribe(underWay.revoked);
  const asking = {
    get client() {
      return current().client;
    },
    get claims() {
      return current().claims;
    },
  };
  return {
    ...needs,
    ...{ shared, store, revocations },
    renewer: createRenew(Object.assign(asking, { coordination, now, log, metrics })),
    loop: createSignInLoop({ now }),
    heard: shared.heard,
    underWay,
    outbound: {
      fetch: (url, sent) => current().outbound.fetch(url, sent),
      allows: (url, namedBy) => current().outbound.allows(url, namedBy),
      close: async () => undefined,
    },
    follow: (made) => {
      newest = made;
      shared.reread();
    },
  };
}
