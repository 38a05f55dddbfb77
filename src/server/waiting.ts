import type { Millis } from '../config/units.ts';

/** Somebody who waits for something. */
export interface Waiter {
  /** Called once when the patience is over. */
  giveUp(): void;
}

/** Those who wait for one kind of thing: bounded in number and in time. */
export interface Waiting {
  /** @returns a ticket to leave with, or undefined when too many wait already, or it was closed: this one must fail at once */
  enter(waiter: Waiter): number | undefined;
  /** Does nothing when the waiter left before. */
  leave(ticket: number, waiter: Waiter): void;
  /** Forgets all who wait: whoever closes it ends what they wait for. Nobody enters any more. */
  close(): void;
}

/**
 * One timer for all who wait, running only while somebody does: a timer each would cost more than most requests.
 *
 * @param needs.patienceMs how long a waiter waits at least; at most a quarter longer
 */
export function createWaiting(needs: { max: number; patienceMs: Millis; now: () => Millis }): Waiting {
  // Places in arrays that are used again, not a Map: every request passes here, and the tables that a busy Map leaves
  // behind keep its former entries alive until the next full collection (measured: six times the garbage collection).
  const places: (Waiter | undefined)[] = [];
  const since: Millis[] = [];
  const free: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const leave = (ticket: number, waiter: Waiter) => {
    if (places[ticket] !== waiter) return;
    places[ticket] = undefined;
    free.push(ticket);
  };
  const sweep = () => {
    timer = undefined;
    const limit = needs.now() - needs.patienceMs;
    for (const [ticket, waiter] of places.entries()) {
      if (waiter === undefined || (since[ticket] ?? 0) > limit) continue;
      leave(ticket, waiter);
      waiter.giveUp();
    }
    if (free.length < places.length) arm();
  };
  const arm = () => {
    timer = setTimeout(sweep, needs.patienceMs / 4);
    timer.unref();
  };

  return {
    enter: (waiter) => {
      // Nobody would look after it: it would wait for ever.
      if (isClosed) return undefined;
      const ticket = free.pop() ?? places.length;
      if (ticket >= needs.max) return undefined;
      places[ticket] = waiter;
      since[ticket] = needs.now();
      if (timer === undefined) arm();
      return ticket;
    },
    leave,
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      places.fill(undefined);
    },
  };
}
