/** Milliseconds: a length of time, or a moment since the epoch. */
export type Millis = number;

/** Seconds: a length of time, or a moment since the epoch, as JWTs count them (RFC 7519 §2, NumericDate). */
export type Seconds = number;

/** The wall clock, handed in by whoever wires the rooms together. */
export type Clock = () => Millis;
