import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { createRevocationStream, type RevocationStreamNeeds } from './revocation-stream.ts';
import type { KnownRevocations, Revocations } from './revocations.ts';

/** Revocations that all replicas share. */
export interface SharedRevocations extends Revocations {
  /** Whether what was signed out elsewhere is known here, up to two seconds ago. */
  isCurrent(): boolean;
  /**
   * Begins to follow the others. Resolves when all that they know is known here, or could not be had within five seconds;
   * that goes on behind it. Never rejects.
   */
  start(): Promise<void>;
  /** There are other keys: what could not be opened with those before is read once more. */
  reread(): void;
  /** Ends the following. */
  close(): void;
}

export interface SharedRevocationNeeds extends RevocationStreamNeeds {
  /** In force in this process; nothing is refused but by these. */
  readonly local: KnownRevocations;
  readonly log: Log;
}

const START_MS: Millis = 5000;
/** The longest wait for news: how late a frozen Redis, or a stream that lost something, is noticed. */
const BLOCK_MS: Millis = 1000;
/** After an answer of no use. */
const PAUSE_MS: Millis = 250;

/**
 * Shares revocations through a stream in Redis, which every replica follows from the last entry that it has read: what was
 * said while it was away comes first when it is back, and there is no gap between asking and listening. A stream that lost
 * something (emptied, or another primary's) is noticed within a second, and made whole from what the replicas know.
 */
export function createRedisRevocations(needs: SharedRevocationNeeds): SharedRevocations {
  const { local, commands, listener, log } = needs;
  const stream = createRevocationStream(needs);
  const follower = createFollower({ ...needs, stream });
  return {
    isRevoked: local.isRevoked,
    freeFrom: local.freeFrom,
    subscribe: local.subscribe,
    isCurrent: follower.isCurrent,
    revoke: async (revocation) => {
      await local.revoke(revocation);
      try {
        await stream.add([revocation]);
      } catch (cause) {
        // Told as soon as Redis is back, with whatever else is not there.
        follower.mend();
        throw cause;
      }
    },
    start: async () => {
      const caughtUp = follower.start();
      await listener.start();
      if (!listener.state.isUp) return;
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, START_MS);
      await Promise.race([caughtUp, late]);
      clearTimeout(timer);
      log.debug('revocations.followed', { current: follower.isCurrent(), commands: commands.state.isUp });
    },
    reread: follower.reread,
    close: follower.close,
  };
}

interface Follower {
  isCurrent(): boolean;
  /** Something known here may not be in the stream. */
  mend(): void;
  reread(): void;
  /** Follows whenever the listener's connection stands. Resolves when it has caught up for the first time. */
  start(): Promise<void>;
  close(): void;
}

type FollowerNeeds = SharedRevocationNeeds & { readonly stream: ReturnType<typeof createRevocationStream> };

function createFollower(needs: FollowerNeeds): Follower {
  const { local, commands, listener, log, stream } = needs;
  const first = Promise.withResolvers<void>();
  let isCurrent = false;
  let isClosed = false;
  let isRunning = false;
  /** How often something did not get into the stream, and how many of those times were mended. */
  let missed = 0;
  let mended = 0;
  /** Entries that no key of ours opens: a replica that has newer settings may have made them. */
  let sealed = 0;
  let hasOtherKeys = false;
  /** Whether all that is there was read, on this connection. */
  let hasRead = false;
  /** Whether this replica knows whatever the stream may lack. */
  let knowsBefore = false;

  const readOn = async (blockMs: Millis) => {
    const read = await stream.read(blockMs);
    // In force before its promise is kept, which says nothing more here.
    for (const revocation of read.revocations) void local.revoke(revocation);
    if (sealed === 0 && read.sealed > 0) log.warn('revocations.sealed', { count: read.sealed });
    sealed += read.sealed;
    return read;
  };
  const repair = async () => {
    const upTo = missed;
    const missing = new Map([...local.known()].map((known) => [JSON.stringify(known), known]));
    stream.rewind();
    for (let isLast = false; !isLast; ) {
      const read = await readOn(0);
      for (const there of read.revocations) missing.delete(JSON.stringify(there));
      isLast = read.isLast;
    }
    await stream.add([...missing.values()]);
    mended = upTo;
    log.info('revocations.repaired', { added: missing.size });
  };
  const turn = (current: boolean) => {
    if (current === isCurrent) return;
    isCurrent = current;
    log[current ? 'info' : 'warn']('revocations.known', { current });
  };
  const readAgain = () => {
    hasOtherKeys = false;
    if (sealed === 0) return;
    sealed = 0;
    stream.rewind();
  };
  const follow = async () => {
    if (hasOtherKeys) readAgain();
    const { hasLost, youngMs } = await stream.look();
    if (hasLost) {
      missed += 1;
      // Who was away meanwhile may lack what others know, like one that has just started.
      knowsBefore &&= isCurrent;
    }
    if (missed > mended && commands.state.isUp) await repair();
    const waitMs = knowsBefore ? 0 : youngMs;
    const { isLast } = await readOn(isCurrent || hasRead ? Math.min(BLOCK_MS, waitMs || BLOCK_MS) : 0);
    if (!isLast) return;
    hasRead = true;
    first.resolve();
    if (waitMs > 0) return;
    knowsBefore = true;
    turn(true);
  };
  const run = async () => {
    if (isRunning) return;
    isRunning = true;
    while (!isClosed && listener.state.isUp) {
      try {
        await follow();
      } catch (cause) {
        turn(false);
        // An outage is in the log already; anything else is a mistake of ours, and sign-outs elsewhere stay unknown for it.
        if (!(cause instanceof Failure)) log.error('revocations.failed', { cause });
        if (listener.state.isUp) await pause();
      }
    }
    isRunning = false;
    hasRead = false;
    turn(false);
  };
  let stop = () => {};
  return {
    isCurrent: () => isCurrent && listener.state.isUp,
    mend: () => {
      missed += 1;
    },
    reread: () => {
      hasOtherKeys = true;
    },
    start: () => {
      stop = listener.onUp(() => void run());
      return first.promise;
    },
    close: () => {
      isClosed = true;
      stop();
      listener.close();
    },
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE_MS);
  });
}
