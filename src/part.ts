import { fingerprint } from './config/fingerprint.ts';

/** Something that was made of settings, and by what it is known whether others would make the same. */
export interface Part<T> {
  readonly value: T;
  /** Fingerprint of what it was made of. Never shown: a short secret could be guessed from it. */
  readonly madeOf: string;
}

/**
 * What was made before goes on where it would be made of the same again, with all that it has learned.
 *
 * @param settings everything that `make` goes by
 */
export function inherit<T>(before: Part<T> | undefined, settings: unknown, make: () => T): Part<T> {
  const madeOf = fingerprint(settings);
  return before?.madeOf === madeOf ? before : { value: make(), madeOf };
}
