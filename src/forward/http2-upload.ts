import type { ClientHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';

/** What is kept of a request body until the answer begins, in case the upstream refuses the stream unprocessed. */
const REPLAY_BYTES = 65_536;

interface Needs {
  /** Wraps a listener so that it never throws. */
  readonly contained: <Args extends readonly unknown[]>(listener: (...args: Args) => void) => (...args: Args) => void;
  /** More is not passed on; undefined without a limit. */
  readonly maxBytes: number | undefined;
  /** Called when a stream got the whole body. */
  readonly onSent: () => void;
  /** Called when the body is over its limit. */
  readonly onTooLarge: (maxBytes: number) => void;
}

/**
 * A request body on its way to an HTTP/2 upstream. Nothing of it is taken from the caller before the connection stands, and
 * as long as it is small it can be sent again.
 */
export class Http2Upload {
  readonly #body: Readable;
  readonly #needs: Needs;
  #up: ClientHttp2Stream | undefined;
  /** All of it so far; undefined when it cannot be sent again. */
  #sent: Buffer[] | undefined = [];
  #bytes = 0;
  #isTaken = false;
  #isEnded = false;

  constructor(body: Readable, needs: Needs) {
    this.#body = body;
    this.#needs = needs;
  }

  /** Whether another stream could still get it from its beginning. */
  get isRepeatable(): boolean {
    return this.#sent !== undefined;
  }

  sendTo(up: ClientHttp2Stream): void {
    // Until it stands, what came would have nowhere to go, and be more than is kept.
    this.#up = undefined;
    this.#body.pause();
    const begin = this.#needs.contained(() => this.#begin(up));
    if (up.pending) up.once('ready', begin);
    else begin();
  }

  /** It will not be sent again. */
  forget(): void {
    this.#sent = undefined;
  }

  /** Nobody takes it any more: what still comes is dropped, so that the caller's next request can be found. */
  drop(): void {
    this.#sent = undefined;
    if (this.#isTaken) this.#body.resume();
  }

  #begin(up: ClientHttp2Stream): void {
    if (up.destroyed) return;
    this.#up = up;
    up.on('drain', () => {
      if (up === this.#up) this.#body.resume();
    });
    for (const chunk of this.#sent ?? []) up.write(chunk);
    if (!this.#isTaken) this.#take();
    else if (this.#isEnded) this.#end();
    this.#body.resume();
  }

  #take(): void {
    this.#isTaken = true;
    const { contained } = this.#needs;
    this.#body.on(
      'data',
      contained((chunk: Buffer) => this.#send(chunk)),
    );
    const ended = () => {
      this.#isEnded = true;
      this.#end();
    };
    // An empty one ends without being read, and may have done so while nobody listened.
    if (this.#body.readableEnded) ended();
    else this.#body.on('end', contained(ended));
    // Told by the caller's 'close'; without a listener it would end the process.
    this.#body.on('error', () => undefined);
  }

  #send(chunk: Buffer): void {
    const { maxBytes } = this.#needs;
    this.#bytes += chunk.length;
    if (maxBytes !== undefined && this.#bytes > maxBytes) {
      this.#needs.onTooLarge(maxBytes);
      return;
    }
    this.#keep(chunk);
    // Nobody reads any more: the rest is the caller's own affair, and dropped.
    if (this.#up?.writable && !this.#up.write(chunk)) this.#body.pause();
  }

  #keep(chunk: Buffer): void {
    if (this.#sent === undefined) return;
    if (this.#bytes > REPLAY_BYTES) this.#sent = undefined;
    else this.#sent.push(chunk);
  }

  #end(): void {
    if (!this.#up?.writable) return;
    this.#up.end();
    this.#needs.onSent();
  }
}
