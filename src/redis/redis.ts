import { ErrorReply } from '@redis/client';
import type { RedisSettings } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Command, Link } from './link.ts';
import { createPauses } from './pauses.ts';
import { openPrimary } from './primary.ts';

/**
 * A Redis that is asked through one connection, which is renewed in the background when it breaks or falls silent. While
 * there is none, every question fails at once: a dead Redis adds no latency.
 */
export interface Redis {
  /**
   * Asks, once; nothing is asked a second time, since it may have been done the first.
   *
   * @param options.isBinary  whether strings in the answer come as bytes
   * @param options.blockMs   how long the command itself may wait before it answers
   * @returns the answer in RESP2's types
   * @throws {Failure} `store_unreachable`: no connection, no answer in time, too many waiting, or Redis says that it cannot
   */
  send(command: Command, options?: { isBinary?: boolean; blockMs?: Millis }): Promise<unknown>;
  /** A key name under this deployment's prefix. */
  key(kind: string, name?: string): string;
  readonly state: RedisConnection;
  /** Tells of each connection that stands. @param listener must not throw @returns ends the telling */
  onUp(listener: () => void): () => void;
  /** Begins to connect. Resolves when the first attempt has ended, well or not. Never rejects. */
  start(): Promise<void>;
  /** Ends the connection; nothing is asked any more. */
  close(): void;
}

/** How a connection is. */
export interface RedisConnection {
  readonly isUp: boolean;
  /** When that began, by `performance.now()`. */
  readonly since: Millis;
  /** How often it broke, or could not be made. */
  readonly outages: number;
}

export interface RedisNeeds {
  /** Read at each connection: secrets change. */
  readonly settings: () => RedisSettings;
  /** What the connection is for, in the log and metrics. */
  readonly role: 'commands' | 'listener';
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'redisFailure'>;
}

/** Commands that may wait for their answers at once: beyond it a slow Redis would fill the memory. */
const MAX_WAITING = 10_000;

/** A timer that comes so late says that nothing else came in time either. */
const HELD_UP_MS: Millis = 50;

/** A connection that lasted so long was no accident: the next outage is probed from the shortest pause on. */
const STEADY_MS: Millis = 5000;

export function createRedis(needs: RedisNeeds): Redis {
  const { settings } = needs;
  const state = { isUp: false, since: performance.now(), outages: 0 };
  const listeners = new Set<() => void>();
  const pauses = createPauses();
  let link: Kept | undefined;
  let isClosed = false;
  let isTold = false;
  let timer: NodeJS.Timeout | undefined;

  const turn = (isUp: boolean) => {
    state.isUp = isUp;
    state.since = performance.now();
  };
  const connect = async (): Promise<void> => {
    try {
      const opened = await openPrimary(settings());
      if (isClosed) return opened.close();
      stand(opened);
    } catch (cause) {
      if (isClosed) return;
      state.outages += 1;
      needs.metrics.redisFailure('connect');
      // Once for each outage, also one that began with a connection that was lost: the reason stands only here.
      if (!isTold) needs.log.warn('redis.unreachable', { role: needs.role, cause: reasonOf(cause) });
      isTold = true;
      timer = setTimeout(() => void connect(), pauses.next());
    }
  };
  const stand = (opened: Link) => {
    const kept = { link: opened, waiting: 0, heardAt: performance.now() };
    const stoodAt = performance.now();
    link = kept;
    isTold = false;
    turn(true);
    needs.log.info('redis.connected', { role: needs.role });
    void opened.closed.then(() => {
      if (link !== kept) return;
      link = undefined;
      turn(false);
      state.outages += 1;
      if (isClosed) return;
      needs.log.warn('redis.lost', { role: needs.role });
      if (performance.now() - stoodAt >= STEADY_MS) pauses.reset();
      timer = setTimeout(() => void connect(), pauses.next());
    });
    for (const listener of listeners) listener();
  };
  return {
    state,
    send: async (command, options = {}) => {
      if (!link) throw down(needs, 'down', 'there is no connection to Redis');
      if (link.waiting >= MAX_WAITING) throw down(needs, 'full', `${MAX_WAITING} commands wait for Redis already`);
      return ask(link, { command, ...options, timeoutMs: settings().commandTimeoutMs }, needs);
    },
    key: (kind, name) => settings().keyPrefix + (name === undefined ? kind : `${kind}:${name}`),
    onUp: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    start: connect,
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      link?.link.close();
    },
  };
}

/** A connection, and what is known of its health. Times are `performance.now()`'s. */
interface Kept {
  readonly link: Link;
  waiting: number;
  /** When it last answered anything. */
  heardAt: Millis;
}

interface Question {
  readonly command: Command;
  readonly isBinary?: boolean;
  readonly blockMs?: Millis;
  readonly timeoutMs: Millis;
}

async function ask(kept: Kept, question: Question, needs: RedisNeeds): Promise<unknown> {
  const { command, isBinary = false, blockMs = 0, timeoutMs } = question;
  const limitMs = timeoutMs + blockMs;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const askedAt = performance.now();
  let dueAt = askedAt + limitMs;
  const giveUp = () => {
    // This process was held up, not Redis: the time counts from now on, once.
    if (performance.now() > dueAt + HELD_UP_MS) {
      dueAt = Number.POSITIVE_INFINITY;
      timer = setTimeout(giveUp, limitMs);
      return;
    }
    // Answers come in the order of the questions: silent for so long means dead, or so slow that it must not be waited for.
    const isSilent = kept.heardAt <= askedAt || performance.now() - kept.heardAt >= limitMs / 2;
    if (isSilent) kept.link.close();
    reject(down(needs, 'timeout', `no answer from Redis in ${limitMs} ms`));
  };
  let timer = setTimeout(giveUp, limitMs);
  kept.waiting += 1;
  try {
    const reply = await Promise.race([kept.link.send(command, isBinary), late]);
    kept.heardAt = performance.now();
    return reply;
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    if (!(cause instanceof ErrorReply)) throw down(needs, 'lost', 'the connection to Redis broke', cause);
    kept.heardAt = performance.now();
    // A primary that became a replica: the next connection finds the new one.
    if (codeOf(cause) === 'READONLY') kept.link.close();
    throw down(needs, 'refused', `Redis answered ${codeOf(cause)}`, cause);
  } finally {
    clearTimeout(timer);
    kept.waiting -= 1;
  }
}

function down(needs: RedisNeeds, kind: Parameters<Metrics['redisFailure']>[0], why: string, cause?: unknown): Failure {
  needs.metrics.redisFailure(kind);
  return new Failure('store_unreachable', why, cause === undefined ? {} : { cause });
}

/** The first word of an error reply is its code; what follows is for people (RESP specification, "Simple errors"). */
function codeOf({ message }: ErrorReply): string {
  return /^[A-Z]{2,32}\b/.exec(message)?.[0] ?? 'ERR';
}

/** Words of Redis itself by their code; a password could stand in the rest. Other errors as they are. */
export function reasonOf(cause: unknown): unknown {
  return cause instanceof ErrorReply ? codeOf(cause) : cause;
}
