import type { Clock, Millis } from '../config/units.ts';

/** Something fetched that outlives an outage of where it came from. */
export interface Kept<T> {
  /** The copy at hand, fetched when there is none; an old one is renewed in the background. @throws what `fetch` throws */
  get(): Promise<T>;
  /** Fetches again at once (or joins a fetch under way) whatever the age of the copy. @throws what `fetch` throws */
  refetch(): Promise<T>;
  /** When a fetch last ended, well or not; undefined before the first one did. */
  readonly triedAt: Millis | undefined;
  /** The last fetch's error; undefined when it went well. */
  readonly trouble: unknown;
  /** The copy at hand, however old. */
  readonly copy: T | undefined;
  /** When the fetch began that brought it. */
  readonly askedAt: Millis | undefined;
}

/** A copy older than this is renewed, while it goes on serving. */
export const freshMs: Millis = 600_000;
/** After a failure the source is left alone for so long. */
export const restMs: Millis = 5000;

/**
 * Keeps a copy of what `fetch` brings: one fetch at a time, the last good copy for as long as a newer one cannot be had,
 * and a rest after a failure so that a source in trouble is not hammered.
 *
 * @param needs.onTrouble told of each failed fetch
 */
export function createKept<T>(needs: {
  fetch: () => Promise<T>;
  now: Clock;
  onTrouble: (error: unknown) => void;
}): Kept<T> {
  let kept: { readonly value: T; readonly at: Millis; readonly askedAt: Millis } | undefined;
  let failed: { readonly error: unknown; readonly at: Millis } | undefined;
  let triedAt: Millis | undefined;
  let flight: Promise<T> | undefined;

  const fetchOnce = async (): Promise<T> => {
    const askedAt = needs.now();
    try {
      const value = await needs.fetch();
      kept = { value, at: needs.now(), askedAt };
      failed = undefined;
      return value;
    } catch (error) {
      failed = { error, at: needs.now() };
      needs.onTrouble(error);
      throw error;
    } finally {
      triedAt = needs.now();
      flight = undefined;
    }
  };
  const refetch = (): Promise<T> => {
    flight ??= fetchOnce();
    return flight;
  };
  const isResting = () => failed !== undefined && needs.now() - failed.at < restMs;

  return {
    get triedAt() {
      return triedAt;
    },
    get trouble() {
      return failed?.error;
    },
    get copy() {
      return kept?.value;
    },
    get askedAt() {
      return kept?.askedAt;
    },
    refetch,
    get: async () => {
      if (!kept) {
        if (failed && isResting()) throw failed.error;
        return refetch();
      }
      // The copy serves meanwhile; `onTrouble` has heard of the failure.
      if (needs.now() - kept.at >= freshMs && !isResting()) refetch().catch(() => undefined);
      return kept.value;
    },
  };
}
