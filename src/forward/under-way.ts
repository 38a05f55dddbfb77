import { LEEWAY_S } from '../authenticate/token-claims.ts';
import type { Clock, Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { createContain } from '../server/contain.ts';
import type { SessionMarks } from '../session/marks.ts';
import type { Over } from './cut.ts';

/** By what right an exchange goes on. */
export interface Life {
  /** Absent: a bearer token's. */
  readonly session?: SessionMarks;
  /** When the right ends, as far as is known now: a session may go on being used. */
  readonly expiresAt: Millis;
}

/** Something under way that can be told to end. */
export interface Ending {
  /**
   * Ends it on both sides, in the words of its protocol where there are some; else, and when it is told a second time, by
   * reset. Before the answer began, the reply is left to whoever asked.
   */
  end(why: Over): void;
}

/** A place among what is under way. */
export interface Held {
  leave(one: Ending): void;
}

/** Exchanges that end with the right by which they began, not only with their bytes. */
export interface UnderWay {
  /** Why nothing may begin by this right, when it was taken back a moment ago. */
  whyOver(life: Life): Over | undefined;
  begin(one: Ending, life: Life): Held;
  /** Told of a session whenever it is proved: its exchanges go on for as long as it does. */
  seen(life: Life): void;
  /** Revocations have come: what they speak of ends within a few tens of milliseconds. */
  revoked(): void;
  /** A session turned out to be at its end, without having been signed out. */
  over(session: Pick<SessionMarks, 'handle'>): void;
}

/** Many revocations that come together cost one look. */
const SOON_MS: Millis = 20;
/** Whoever was told to end and has not is reset then: a caller who takes nothing hears no last words. */
const RESET_AFTER_MS: Millis = 400;
/** How late an end by time may be noticed. */
const LOOK_EVERY_MS: Millis = 1000;

/**
 * Keeps what is under way by its session, and looks at all sessions together: soon after a revocation, and once a second
 * while there are any. One timer for all, so an exchange costs two look-ups in a map.
 */
export function createUnderWay(needs: {
  isRevoked: (session: SessionMarks) => boolean;
  now: Clock;
  log: Log;
  metrics: Pick<Metrics, 'streamsEnded'>;
}): UnderWay {
  const sessions = new Map<string, Lifetime>();
  /** Of bearer tokens, and of sessions that are over already. */
  const others = new Set<Lifetime>();
  const forget = (lifetime: Lifetime) => {
    others.delete(lifetime);
    const { handle = '' } = lifetime.session ?? {};
    if (sessions.get(handle) === lifetime) sessions.delete(handle);
  };
  // One that cannot be ended must not keep the others going; its next look resets it, or its upstream's end does.
  const endOne = createContain(needs.log)(
    (one: Ending, why: Over) => one.end(why),
    () => undefined,
  );
  let timer: NodeJS.Timeout | undefined;
  let nextLookAt: Millis = 0;
  const lookIn = (ms: Millis) => {
    const at = performance.now() + ms;
    if (timer !== undefined && nextLookAt <= at) return;
    clearTimeout(timer);
    nextLookAt = at;
    timer = setTimeout(look, ms);
    // Whoever stops the gateway ends all that is under way before.
    timer.unref();
  };
  const endAll = (lifetime: Lifetime, why: Over) => {
    if (lifetime.over === undefined) {
      forget(lifetime);
      lifetime.over = why;
      others.add(lifetime);
      const { handle: session } = lifetime.session ?? {};
      needs.metrics.streamsEnded(why, lifetime.members.size);
      needs.log.info('streams.ended', { why, count: lifetime.members.size, ...(session !== undefined && { session }) });
    }
    for (const one of lifetime.members) endOne(one, why);
  };
  const look = () => {
    timer = undefined;
    let hasEnded = false;
    for (const lifetime of [...others, ...sessions.values()]) {
      const why = lifetime.over ?? whyOverNow(lifetime, needs);
      if (why === undefined) continue;
      hasEnded = true;
      endAll(lifetime, why);
    }
    if (sessions.size + others.size > 0) lookIn(hasEnded ? RESET_AFTER_MS : LOOK_EVERY_MS);
  };
  const lifetimeOf = (life: Life): Lifetime => {
    const { session } = life;
    const known = session && sessions.get(session.handle);
    if (known) {
      known.endsAt = Math.max(known.endsAt, life.expiresAt);
      return known;
    }
    const made = new Lifetime(session, endOf(life, needs.now()), forget);
    if (session) sessions.set(session.handle, made);
    else others.add(made);
    return made;
  };
  return {
    whyOver: ({ session }) => (session && needs.isRevoked(session) ? 'session_revoked' : undefined),
    begin: (one, life) => {
      const lifetime = lifetimeOf(life);
      lifetime.add(one);
      if (timer === undefined) lookIn(LOOK_EVERY_MS);
      return lifetime;
    },
    seen: ({ session, expiresAt }) => {
      const known = session && sessions.get(session.handle);
      if (known) known.endsAt = Math.max(known.endsAt, expiresAt);
    },
    revoked: () => {
      if (sessions.size > 0) lookIn(SOON_MS);
    },
    over: ({ handle }) => {
      const known = sessions.get(handle);
      if (!known) return;
      endAll(known, 'session_expired');
      lookIn(RESET_AFTER_MS);
    },
  };
}

/** A token that was let in on leeway is not at its end at once. */
function endOf({ session, expiresAt }: Life, now: Millis): Millis {
  return session !== undefined || expiresAt > now ? expiresAt : expiresAt + LEEWAY_S * 1000;
}

function whyOverNow(
  { session, endsAt }: Lifetime,
  needs: { isRevoked: (session: SessionMarks) => boolean; now: Clock },
): Over | undefined {
  if (session && needs.isRevoked(session)) return 'session_revoked';
  if (needs.now() < endsAt) return undefined;
  return session ? 'session_expired' : 'token_expired';
}

/** What is under way by one right: all of a session's, or one of a bearer token. */
class Lifetime implements Held {
  readonly session: SessionMarks | undefined;
  endsAt: Millis;
  /** Why all of it was told to end. */
  over: Over | undefined;
  readonly members = new Set<Ending>();
  readonly #onEmpty: (lifetime: Lifetime) => void;

  constructor(session: SessionMarks | undefined, endsAt: Millis, onEmpty: (lifetime: Lifetime) => void) {
    this.session = session;
    this.endsAt = endsAt;
    this.#onEmpty = onEmpty;
  }

  add(one: Ending): void {
    this.members.add(one);
  }

  leave(one: Ending): void {
    this.members.delete(one);
    if (this.members.size === 0) this.#onEmpty(this);
  }
}
