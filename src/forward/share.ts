/** A part of something that must not be used up by those who take it. */
export interface Share {
  /** @returns gives the place back, once; undefined when none is left */
  take(): (() => void) | undefined;
}

/** @param places how many there are, asked each time: they may become more or fewer */
export function createShare(places: () => number): Share {
  let taken = 0;
  return {
    take: () => {
      if (taken >= places()) return undefined;
      taken += 1;
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        taken -= 1;
      };
    },
  };
}
