import type { Millis } from '../config/units.ts';

/** How often in a row an address may close connections without an answer: an idle connection may always do so once. */
const CUTS_FORGIVEN = 2;

/** How long an address is left alone: the first time, and at most. Each time without an answer in between doubles it. */
export const PAUSES: Pauses = { firstMs: 1000, longestMs: 30_000 };

export interface Pauses {
  readonly firstMs: Millis;
  readonly longestMs: Millis;
}

export interface HealthNeeds {
  readonly pauses: Pauses;
  /** Opens and closes a connection; calls back once. @returns gives up */
  readonly probe: (done: (cause: Error | undefined) => void) => () => void;
  /** Told of changes only. @param cause why it is left alone; undefined when it is back */
  readonly onChange: (cause: unknown) => void;
}

/**
 * What the requests to one address say of it. One that cannot be reached is left alone for a while, then a connection is
 * tried without any request; when that succeeds the address is back, on trial until it answers something.
 */
export class Health {
  readonly #needs: HealthNeeds;
  #isLeftAlone = false;
  /** Connections closed without an answer since the last answer. */
  #cuts = 0;
  /** Times it was left alone since the last answer. */
  #times = 0;
  #isClosed = false;
  #stop: () => void = () => undefined;

  constructor(needs: HealthNeeds) {
    this.#needs = needs;
  }

  get isLeftAlone(): boolean {
    return this.#isLeftAlone;
  }

  /** It began to answer. Called for every request: costs a comparison. */
  answered(): void {
    if (this.#cuts === 0 && this.#times === 0) return;
    this.#cuts = 0;
    this.#times = 0;
    this.#back();
  }

  /** No connection could be opened, or one that stood gave no sign of life. */
  unreachable(cause: unknown): void {
    this.#leaveAlone(cause);
  }

  /** It closed a connection on a request without a byte of an answer. */
  cut(cause: unknown): void {
    this.#cuts += 1;
    if (this.#cuts > CUTS_FORGIVEN || this.#times > 0) this.#leaveAlone(cause);
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #leaveAlone(cause: unknown): void {
    // What was under way when it failed, or was sent because nobody else was left, says nothing new.
    if (this.#isLeftAlone || this.#isClosed) return;
    this.#isLeftAlone = true;
    this.#pause();
    this.#needs.onChange(cause);
  }

  #pause(): void {
    const { firstMs, longestMs } = this.#needs.pauses;
    const timer = setTimeout(() => this.#probe(), Math.min(longestMs, firstMs * 2 ** this.#times));
    timer.unref();
    this.#times = Math.min(this.#times + 1, 30);
    this.#stop = () => clearTimeout(timer);
  }

  #probe(): void {
    this.#stop = this.#needs.probe((cause) => {
      if (this.#isClosed || !this.#isLeftAlone) return;
      if (cause === undefined) this.#back();
      else this.#pause();
    });
  }

  #back(): void {
    if (!this.#isLeftAlone) return;
    this.#stop();
    this.#isLeftAlone = false;
    this.#needs.onChange(undefined);
  }
}
