import { write, writeSync } from 'node:fs';
import type { Millis } from '../config/units.ts';

/** Where finished lines go. */
export interface LinesOut {
  /** Takes a line; it goes out with others soon. */
  write(line: string): void;
  /** Sends out what waits, without waiting for it to arrive. */
  hurry(): void;
  /** Writes what waits before it returns: for the end of a process only, since a slow reader would hold up everything. */
  flushSync(): void;
}

/** Characters that are worth a write of their own. */
const enough = 16_000;
const maxWaiting = 16 * 1024 * 1024;
const waitMs: Millis = 1000;
/** Until a reader that had no room is tried again. */
const retryMs: Millis = 50;

/**
 * Lines to a file descriptor, gathered up to 16 kB or one second. The process never waits for the reader: what a stalled
 * one leaves behind is kept up to 16 MiB and dropped beyond; once it is gone, so is everything. Never throws.
 *
 * @param fd of a file, pipe or terminal
 */
export function createLinesOut(fd: number): LinesOut {
  return new Gathered(fd);
}

class Gathered implements LinesOut {
  readonly #fd: number;
  #waiting = '';
  #timer: NodeJS.Timeout | undefined;
  #isWriting = false;
  #isGone = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    if (this.#isGone || this.#waiting.length > maxWaiting) return;
    this.#waiting += line;
    if (this.#waiting.length >= enough) this.hurry();
    // Whoever ends the process flushes: a line that waits must not keep it alive.
    else this.#timer ??= setTimeout(() => this.hurry(), waitMs).unref();
  }

  hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting || this.#waiting === '') return;
    this.#isWriting = true;
    this.#send(this.#take());
  }

  flushSync(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      for (let rest = this.#take(); rest.length > 0; ) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch {
      // Nobody reads, or not fast enough: the process ends, and there is no other place to say so.
      this.#isGone = true;
    }
  }

  #take(): Buffer {
    const taken = Buffer.from(this.#waiting);
    this.#waiting = '';
    return taken;
  }

  #send(bytes: Buffer): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => this.#send(bytes), retryMs).unref();
      else if (error) this.#leave();
      else if (written < bytes.length) this.#send(bytes.subarray(written));
      else this.#sent();
    });
  }

  #sent(): void {
    this.#isWriting = false;
    if (this.#waiting.length >= enough) this.hurry();
    else if (this.#waiting !== '') this.#timer ??= setTimeout(() => this.hurry(), waitMs).unref();
  }

  /** The reader is gone. The gateway's work goes on. */
  #leave(): void {
    this.#isGone = true;
    this.#waiting = '';
  }
}
