/** Numbers that look like chance and are the same for the same seed. */
export interface Chance {
  /** From `min` to `max`, both included. */
  between(min: number, max: number): number;
  /** One of several; the first when there is nothing to choose. @throws for none */
  oneOf<T>(several: readonly T[]): T;
  /** Chance of its own, so that two users of one do not change each other's numbers. */
  branch(name: string): Chance;
}

/** Mulberry32 (public domain): 32 bits of state are plenty for a schedule. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    between: (min, max) => min + Math.floor(next() * (max - min + 1)),
    oneOf: (several) => {
      const one = several[Math.floor(next() * several.length)];
      if (one === undefined) throw new Error('nothing to choose from');
      return one;
    },
    branch: (name) => createChance([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), seed)),
  };
}
