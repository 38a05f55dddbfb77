import type { Millis } from '../config/units.ts';
import type { FailedTries, FailureScope, TryOf } from './failed-tries.ts';

export type Entered =
  | { readonly kind: 'go'; readonly end: (outcome: 'succeeded' | 'failed' | 'unknown') => void }
  | { readonly kind: 'refused'; readonly by: FailureScope }
  /** Too many wait, or those under way took too long. */
  | { readonly kind: 'full' };

/** Lets a try begin, at once or when others have ended. */
export type Enter = (of: TryOf) => Promise<Entered>;

/** Who waits for the tries of others, all together. */
const MAX_WAITING = 1000;

/**
 * Has a try wait while others under way could use a limit up, so that none is refused for what may turn out well.
 *
 * @param needs.timeoutMs nobody waits longer
 */
export function createEnter({ tries, timeoutMs }: { tries: FailedTries; timeoutMs: Millis }): Enter {
  let waiting = 0;
  const waitFor = async (of: TryOf): Promise<Entered> => {
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), timeoutMs);
    waiting += 1;
    try {
      for (;;) {
        const begun = tries.begin(of);
        if (begun.kind !== 'wait') return begun;
        if ((await Promise.race([begun.ended, late.promise])) === 'late') return { kind: 'full' };
      }
    } finally {
      waiting -= 1;
      clearTimeout(timer);
    }
  };
  return async (of) => {
    const begun = tries.begin(of);
    if (begun.kind !== 'wait') return begun;
    return waiting < MAX_WAITING ? waitFor(of) : { kind: 'full' };
  };
}
