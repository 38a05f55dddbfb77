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
class Living {
  readonly generation: Generation;
  underWay = 0;
  /** Ends it once nothing is under way; set when it was replaced. */
  whenIdle: (() => void) | undefined;

  constructor(generation: Generation) {
    this.generation = generation;
  }

  readonly handler: Handler = (exchange) => {
    const passing = this.generation.handler(exchange);
    if (passing === undefined) return passing;
    this.underWay += 1;
    // A promise of its own: whoever called hears of a failure from the one that is returned.
    passing.then(this.#left, this.#left);
    return passing;
  };

  readonly #left = (): void => {
    this.underWay -= 1;
    if (this.underWay === 0) this.whenIdle?.();
  };
}

export function createGenerations(first: Generation, lasting: Lasting): Generations {
  lasting.follow(first.newest);
  let current = new Living(first);
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
    handler: (exchange) => current.handler(exchange),
    replace: (next, drainMs) => {
      const old = current;
      current = new Living(next);
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

function endWhenIdle(old: Living, drainMs: Millis, end: (old: Living) => void): void {
  if (old.underWay === 0) {
    end(old);
    return;
  }
  const once = () => {
    clearTimeout(deadline);
    old.whenIdle = undefined;
    end(old);
  };
  const deadline = setTimeout(once, drainMs);
  // Whoever stops the gateway ends them sooner.
  deadline.unref();
  old.whenIdle = once;
}
