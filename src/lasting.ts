import type { Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Client } from './oidc/client.ts';
import type { Outbound } from './oidc/outbound.ts';
import { createRenew, type Renewer } from './oidc/renew.ts';
import { createSignInLoop, type SignInLoop } from './oidc/sign-in-loop.ts';
import { createCookieStore } from './session/cookie-store.ts';
import { createMemoryStore } from './session/memory-store.ts';
import { createRevocations, type Revocations } from './session/revocations.ts';
import type { Seal } from './session/seal.ts';
import type { SessionStore } from './session/store.ts';

/** What the settings in force have made, for those who outlive them. */
export interface Newest {
  readonly outbound: Outbound;
  readonly client: Client;
  readonly seal: Seal;
  /** Claims that sessions keep. */
  readonly claims: readonly string[];
}

/** What lives as long as the process, through every change of settings: nobody is signed out by one. */
export interface Lasting {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
  readonly revocations: Revocations;
  readonly store: SessionStore;
  /** One memory of spent refresh tokens, whatever the settings were when they were spent. */
  readonly renewer: Renewer;
  readonly loop: SignInLoop;
  /** Speaks to providers as the newest settings say; never closed. */
  readonly outbound: Outbound;
  /** From now on these are the newest. */
  follow(newest: Newest): void;
}

/** Revocations kept at most: sign-outs within the lifetime of a session. About 200 bytes each. */
const MAX_REVOCATIONS = 500_000;

/** @param config of the start: what it says of `session` holds as long as the process */
export function createLasting(config: Config, needs: { log: Log; metrics: Metrics; now: Clock }): Lasting {
  const { log, metrics, now } = needs;
  let newest: Newest | undefined;
  const current = (): Newest => {
    if (newest === undefined) throw new TypeError('asked before there were settings');
    return newest;
  };
  const onEvict = () => log.error('session.revocation_forgotten', { max: MAX_REVOCATIONS });
  const seal: Seal = {
    seal: (purpose, payload) => current().seal.seal(purpose, payload),
    open: (purpose, sealed) => current().seal.open(purpose, sealed),
  };
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
    revocations: createRevocations({ now, max: MAX_REVOCATIONS, onEvict }),
    store: createStore(config, { seal, now, log }),
    renewer: createRenew(Object.assign(asking, { now, log, metrics })),
    loop: createSignInLoop({ now }),
    outbound: {
      fetch: (url, sent) => current().outbound.fetch(url, sent),
      allows: (url, namedBy) => current().outbound.allows(url, namedBy),
      close: async () => undefined,
    },
    follow: (made) => {
      newest = made;
    },
  };
}

function createStore({ session }: Config, { seal, now, log }: { seal: Seal; now: Clock; log: Log }): SessionStore {
  const { store, maxSessions, idleMs } = session;
  switch (store) {
    case 'cookie':
      return createCookieStore({ seal });
    case 'memory':
      return createMemoryStore({
        seal,
        now,
        max: maxSessions,
        idleMs,
        onEvict: (_id, madeRoomFor) => log.warn('session.evicted', { madeRoomFor }),
      });
  }
}
