import { performance } from 'node:perf_hooks';

/** A clock that stands still while this process is held up. */
export interface AwakeClock {
  /** Milliseconds since the epoch, less all that this process was held up for. */
  now(): number;
  /** Milliseconds that it was held up for so far. */
  heldUpMs(): number;
  stop(): void;
}

const TICK_MS = 20;
/** Timers are late by so much on a machine that has time. */
const USUALLY_LATE_MS = 10;

/**
 * What happens within a second is judged by this clock: when the machine has no time for this process, it has none for the
 * gateways, and what has come meanwhile lies unread in sockets, behind the timers that say that it is late.
 */
export function createAwakeClock(): AwakeClock {
  let lastAt = performance.now();
  let heldUp = 0;
  const overdue = () => Math.max(0, performance.now() - lastAt - TICK_MS - USUALLY_LATE_MS);
  const timer = setInterval(() => {
    heldUp += overdue();
    lastAt = performance.now();
  }, TICK_MS);
  const heldUpMs = () => heldUp + overdue();
  return { now: () => Date.now() - heldUpMs(), heldUpMs, stop: () => clearInterval(timer) };
}
