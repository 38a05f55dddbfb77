import { bugFacts } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';

/**
 * Makes a listener that cannot throw. Nobody catches what an event callback throws: it would end the process, and with it
 * the requests of everybody else.
 *
 * @param end closes what the listener was about; called with the same arguments
 */
export type Contain = <Args extends readonly unknown[]>(
  listener: (...args: Args) => void,
  end: (...args: Args) => void,
) => (...args: Args) => void;

/** Whatever a listener throws is a mistake of ours: `request.crashed` in the log. */
export function createContain(log: Log): Contain {
  return (listener, end) =>
    (...args) => {
      try {
        listener(...args);
      } catch (cause) {
        attempt(() => end(...args));
        attempt(() => log.error('request.crashed', bugFacts(cause)));
      }
    };
}

/** Does the last that can be done about a mistake; never throws. */
export function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // The mistake itself is being dealt with already. Throwing here would only add the end of the process to it.
  }
}
