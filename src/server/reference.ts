import { randomBytes } from 'node:crypto';

/**
 * Makes references: short names for requests that are unique among the replicas and restarts of the gateway. Nothing of
 * a request goes into them. Letters, digits, `-` and `_` only.
 */
export function createReferences(): () => string {
  const process = randomBytes(6).toString('base64url');
  let count = 0;
  return () => {
    count += 1;
    return `${process}-${count.toString(36)}`;
  };
}

/** What all exchanges have in common: when they began, and a reference that is made when first asked for. */
export abstract class Referenced {
  readonly startedAt = performance.now();
  readonly #newReference: () => string;
  #id: string | undefined;

  constructor(newReference: () => string) {
    this.#newReference = newReference;
  }

  get id(): string {
    this.#id ??= this.#newReference();
    return this.#id;
  }
}
