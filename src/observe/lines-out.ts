import { write, writeSync } from 'node:fs';
import type { Millis } from '../config/units.ts';

/** Where finished lines go. */
export interface LinesOut {
  /** Takes a line; it goes out with others soon. */
  write(line: string): void;
  /** Sends out what waits once the work at hand is done, without waiting for it to arrive. */
  hurry(): void;
  /**
   * Writes what waits before it returns: for the end of a process only, since a slow reader holds up everything meanwhile. One
   * that takes nothing for two seconds, or not all in five, is given up.
   */
  flushSync(): void;
}

/** Bytes that are worth a write of their own: to wake a thread for it costs as much as to make some twenty lines. */
const enough = 64_000;
/** Of a piece that lines are gathered in; a line that has no room in one gets one of its own. */
const pieceBytes = 96_000;
const newline = 10;
const maxWaiting = 16 * 1024 * 1024;
const waitMs: Millis = 1000;
/** Until a reader that had no room is tried again. */
const retryMs: Millis = 50;
/** The same at the end of the process, which waits for it; how long without a byte taken, and in all. */
const lastRetryMs: Millis = 5;
const lastPatienceMs: Millis = 2000;
const longestFlushMs: Millis = 5000;

/** What the system writes to a pipe without another process's bytes in between (PIPE_BUF, POSIX's `write`; Linux's number). */
const pipeBytes = 4096;

/**
 * Lines to a file descriptor, gathered up to 64 kB or one second. The process never waits for the reader: what a stalled
 * one leaves behind is kept up to 16 MiB; lines beyond that, or that could not be written, are lost, and a line says how
 * many as soon as one can be written again. Once the reader is gone for good, so is everything. Never throws.
 *
 * @param fd of a file, pipe or terminal
 * @param isShared whether other processes write there, too: then few lines go at once, so that each stays whole
 */
export function createLinesOut(fd: number, isShared = false): LinesOut {
  return new Gathered(fd, isShared);
}

/**
 * Lines become bytes one by one, while they are in the processor's caches. As one long string of all that waits, which is a
 * tree of thousands of small ones, they take longer to write out than to make.
 */
class Gathered implements LinesOut {
  readonly #fd: number;
  readonly #isShared: boolean;
  /** What waits, in whole lines: these first, then what is used of the last. */
  readonly #pieces: Buffer[] = [];
  #last: Buffer = Buffer.allocUnsafeSlow(pieceBytes);
  #used = 0;
  /** Bytes that wait in all. */
  #waiting = 0;
  /** Of a piece that is written. */
  #spare: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  #isWriting = false;
  #isGone = false;
  #isCut = false;
  #lost = 0;

  constructor(fd: number, isShared: boolean) {
    this.#fd = fd;
    this.#isShared = isShared;
  }

  write(line: string): void {
    if (this.#isGone) return;
    if (this.#waiting > maxWaiting) {
      this.#lost += 1;
      return;
    }
    this.#add(line);
    if (this.#waiting >= enough) this.hurry();
    // Whoever ends the process flushes: a line that waits must not keep it alive.
    else this.#timer ??= setTimeout(() => this.hurry(), waitMs).unref();
  }

  hurry(): void {
    if (this.#isDue || this.#isWriting) return;
    this.#isDue = true;
    // Not at once: a process that logs why it ends and exits would leave the line on its way, where nothing can flush it.
    setImmediate(() => this.#begin());
  }

  flushSync(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      const latest = performance.now() + longestFlushMs;
      while (this.#waiting > 0)
        for (let rest = this.#take(); rest.length > 0; ) rest = rest.subarray(writeNow(this.#fd, rest, latest));
    } catch {
      // Nobody reads, or not fast enough: the process ends, and there is no other place to say so.
      this.#leave();
    }
  }

  #add(line: string): void {
    // Three bytes for each unit of UTF-16 at most.
    const room = line.length * 3;
    if (room > this.#last.length - this.#used) this.#turnOver(room);
    const bytes = this.#last.write(line, this.#used);
    this.#used += bytes;
    this.#waiting += bytes;
  }

  /** Begins another piece. */
  #turnOver(room: number): void {
    if (this.#used > 0) this.#pieces.push(this.#last.subarray(0, this.#used));
    this.#used = 0;
    const spare = room <= pieceBytes ? this.#spare : undefined;
    if (spare !== undefined) this.#spare = undefined;
    this.#last = spare ?? Buffer.allocUnsafeSlow(Math.max(room, pieceBytes));
  }

  #begin(): void {
    this.#isDue = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting || this.#waiting === 0) return;
    this.#isWriting = true;
    this.#send(this.#take());
  }

  /** The first that waits: a piece, or as much of it as may go at once. */
  #take(): Buffer {
    if (this.#pieces.length === 0) this.#turnOver(0);
    const piece = this.#pieces.shift() ?? Buffer.alloc(0);
    const end = this.#isShared ? endOfPart(piece) : piece.length;
    if (end < piece.length) this.#pieces.unshift(piece.subarray(end));
    this.#waiting -= end;
    // What is left was as much in a hurry.
    this.#isCut = this.#waiting > 0;
    return piece.subarray(0, end);
  }

  #send(bytes: Buffer): void {
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') this.#putBack(bytes);
      else if (error?.code === 'EPIPE' || error?.code === 'EBADF') this.#leave();
      else if (error) this.#lose(bytes);
      else if (written < bytes.length) this.#send(bytes.subarray(written));
      else this.#sent(bytes);
    });
  }

  /** The reader has no room now: tried again soon, and by whoever ends the process before that. */
  #putBack(bytes: Buffer): void {
    this.#pieces.unshift(bytes);
    this.#waiting += bytes.length;
    this.#isWriting = false;
    this.#timer ??= setTimeout(() => this.hurry(), retryMs).unref();
  }

  /** A full disk, say: these lines are lost, later ones may not be. */
  #lose(bytes: Buffer): void {
    for (const byte of bytes) if (byte === newline) this.#lost += 1;
    this.#isWriting = false;
    if (this.#waiting > 0) this.#timer ??= setTimeout(() => this.hurry(), waitMs).unref();
  }

  #sent({ buffer }: Buffer): void {
    this.#isWriting = false;
    const isWritten = this.#pieces[0]?.buffer !== buffer;
    if (isWritten && buffer.byteLength === pieceBytes) this.#spare = Buffer.from(buffer);
    if (this.#lost > 0) {
      const fact = { level: 'warn', time: new Date().toISOString(), event: 'log.lines_lost', lines: this.#lost };
      this.#lost = 0;
      this.#add(`${JSON.stringify(fact)}\n`);
    }
    if (this.#isCut || this.#waiting >= enough) this.hurry();
    else if (this.#waiting > 0) this.#timer ??= setTimeout(() => this.hurry(), waitMs).unref();
  }

  /** The reader is gone. The gateway's work goes on. */
  #leave(): void {
    this.#isGone = true;
    this.#pieces.length = 0;
    this.#used = 0;
    this.#waiting = 0;
  }
}

/** @returns how many bytes the reader took @throws what the system says, when it took none in time */
function writeNow(fd: number, bytes: Uint8Array, latest: Millis): number {
  const until = Math.min(latest, performance.now() + lastPatienceMs);
  for (;;) {
    try {
      return writeSync(fd, bytes);
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!isFull || performance.now() > until) throw error;
      // Nothing else is left to be done in this process but this.
      Atomics.wait(sleeping, 0, 0, lastRetryMs);
    }
  }
}

const sleeping = new Int32Array(new SharedArrayBuffer(4));

/** Where to cut, so that whole lines go as few bytes as stay together. A longer line goes alone. */
function endOfPart(waiting: Buffer): number {
  if (waiting.length <= pipeBytes) return waiting.length;
  const end = waiting.lastIndexOf(newline, pipeBytes - 1) + 1;
  return end || waiting.indexOf(newline) + 1 || waiting.length;
}
