import type { Millis } from './config/units.ts';
import type { Generation } from './generation.ts';
import type { Lasting } from './lasting.ts';
import type { Handler } from './server/exchange.ts';

/** The settings in force, and those before for as long as something that began under them goes on. */
export interface Generations {
  readonly current: Generation;
  /** Gives each request to the settings in force when it came; it keeps them to its end. */
  readonly handler: Handler;
  /**
   * From here on requests go to the next one. Connections to upstreams that only earlier ones have are closed with the last
   * request that began there, or when the time is over: what still streams then ends in its protocol's own words.
   *
   * @param drainMs for what began before
   */
  replace(next: Generation, drainMs: Millis): void;
  /** Ends all connections to upstreams at once. */
  cut(): Promise<void>;
  /** Waits for what is being said to providers, and closes the connections to them. */
  close(): Promise<void>;
}

/** A generation that has requests, or will have. */
interface Living {
  readonly generation: Generation;
  underWay: number;
  /** Ends it once nothing is under way; set when it was replaced. */
  whenIdle?: () => void;
}

export function createGenerations(first: Generation, lasting: Lasting): Generations {
  lasting.follow(first.newest);
  let current: Living = { generation: first, underWay: 0 };
  const living = new Set([current]);
  const closing = new Set<Promise<unknown>>();
  const inBackground = (end: Promise<unknown>) => {
    // Safe: what could not be closed in order was closed all the same, or is closed already.
    const ended = end.catch(() => undefined).finally(() => closing.delete(ended));
    closing.add(ended);
  };
  const end = (old: Living) => {
    living.delete(old);
    const kept = new Set([...living].flatMap(({ generation }) => [...generation.connections]));
    for (const one of old.generation.connections) if (!kept.has(one)) inBackground(one.close());
  };
  return {
    get current() {
      return current.generation;
    },
    handler: (exchange) => passTo(current, exchange),
    replace: (next, drainMs) => {
      const old = current;
      current = { generation: next, underWay: 0 };
      living.add(current);
      lasting.follow(next.newest);
      // What was asked by its connections is still answered; nothing more is.
      inBackground(old.generation.settled().then(() => old.generation.newest.outbound.close()));
      endWhenIdle(old, drainMs, end);
      next.warmUp();
    },
    cut: async () => {
      const all = new Set([...living].flatMap(({ generation }) => [...generation.connections]));
      await Promise.all([...all].map((one) => one.close()));
    },
    close: async () => {
      await Promise.all([...living].map(({ generation }) => generation.settled()));
      await Promise.all([...closing, current.generation.newest.outbound.close()]);
    },
  };
}

function passTo(living: Living, exchange: Parameters<Handler>[0]): ReturnType<Handler> {
  const passing = living.generation.handler(exchange);
  if (passing === undefined) return passing;
  living.underWay += 1;
  const left = () => {
    living.underWay -= 1;
    if (living.underWay === 0) living.whenIdle?.();
  };
  // A promise of its own: whoever called hears of a failure from the one that is returned.
  passing.then(left, left);
  return passing;
}

function endWhenIdle(old: Living, drainMs: Millis, end: (old: Living) => void): void {
  if (old.underWay === 0) {
    end(old);
    return;
  }
  const once = () => {
    clearTimeout(deadline);
    delete old.whenIdle;
    end(old);
  };
  const deadline = setTimeout(once, drainMs);
  // Whoever stops the gateway ends them sooner.
  deadline.unref();
  old.whenIdle = once;
}
