import { Readable } from 'node:stream';
import { bodyTooLarge } from './upstream-failure.ts';

/**
 * A request body on its way to an HTTP/1.1 upstream. It stands between the two so that whoever sends it may destroy it
 * at will: destroying the caller's own stream would take the caller's connection along, answer and all.
 */
export class Upload extends Readable {
  readonly #source: Readable;
  /** Bytes of it were taken from the caller. */
  isBegun = false;
  readonly #maxBytes: number;
  #bytes = 0;
  readonly #onData = (chunk: Buffer): void => {
    this.isBegun = true;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) this.destroy(bodyTooLarge(this.#maxBytes));
    else if (!this.push(chunk)) this.#source.pause();
  };
  readonly #onEnd = (): void => {
    this.isBegun = true;
    this.push(null);
  };
  readonly #onLost = (): void => {
    this.destroy(new Error('the caller went away before the end of the body'));
  };

  /** @param maxBytes a body that is longer is given up with `body_too_large` */
  constructor(source: Readable, maxBytes = Number.POSITIVE_INFINITY) {
    super({ highWaterMark: source.readableHighWaterMark });
    this.#source = source;
    this.#maxBytes = maxBytes;
    // First, because a caller's reset shows itself as an end, too.
    source.on('aborted', this.#onLost);
    source.on('error', this.#onLost);
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    // A body of nothing may have ended while the caller's credential was looked at: no event tells of it again.
    if (source.readableEnded) this.push(null);
    source.pause();
    // Whoever sends it may give it up before listening.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const source = this.#source;
    source.off('aborted', this.#onLost);
    source.off('data', this.#onData);
    source.off('end', this.#onEnd);
    // The listener for errors stays, or a late one would end the process.
    if (!source.readableEnded) source.pause();
    done(error);
  }
}
