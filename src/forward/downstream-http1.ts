import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Cut } from './cut.ts';
import { type AnswerHead, type Downstream, grouped, pairs, writableReason } from './downstream.ts';
import { type Following, followAnswer } from './last-words.ts';
import { type Writer, writeTogether } from './write-together.ts';

/** A whole answer up to so many bytes goes out with its head in one write. */
const maxGathered = 8192;

/** A caller that speaks HTTP/1.1 or 1.0. */
export class Http1Downstream implements Downstream, Writer {
  readonly hop = 'http1';
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  /** The head waits until the end of the event loop's turn for what comes with it. */
  #isHeadHeld = false;
  /** A first piece of the body that waits with it. */
  #held: Uint8Array | undefined;
  /** All of the answer was said, if not written. */
  #isWhole = false;
  #following: Following | undefined;
  bytes = 0;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get body(): Readable {
    return this.#request;
  }

  hasBody(announced: boolean): boolean {
    return announced;
  }

  trailers(): readonly string[] {
    return this.#request.rawTrailers;
  }

  inform(status: number, fields: readonly string[]): void {
    // Node writes 103 only; 100 is its own business and the others are obsolete.
    if (status !== 103 || this.#request.httpVersion !== '1.1') return;
    try {
      const hints = grouped(fields.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part)));
      this.#response.writeEarlyHints(hints);
    } catch {
      // A hint that cannot be written is not worth an answer: the final one follows.
    }
  }

  start(head: AnswerHead): void {
    const response = this.#response;
    const fields = this.#isChunked(head) ? head.fields : withoutTrailerField(head.fields);
    // One with a length has no room for more words, and is spared the look at its fields.
    if (!head.hasLength) this.#following = followAnswer(fields, false);
    response.sendDate = false;
    response.writeHead(head.status, writableReason(head.reason), fields);
    this.#isHeadHeld = true;
    writeTogether(this);
  }

  write(chunk: Uint8Array): boolean {
    this.bytes += chunk.byteLength;
    this.#following?.pass(chunk);
    if (this.#isHeadHeld && this.#held === undefined && chunk.byteLength <= maxGathered) {
      this.#held = chunk;
      return true;
    }
    this.#flush();
    return this.#response.write(chunk);
  }

  /** Sends what was held back: a body's next byte may be minutes away. */
  writeOut(): void {
    if (!this.#isHeadHeld) return;
    if (this.#isWhole) this.#writeWhole();
    else this.#flush();
  }

  onDrain(resume: () => void): void {
    this.#response.once('drain', resume);
  }

  end(trailers: readonly string[]): void {
    if (trailers.length > 0 && this.#response.chunkedEncoding) this.#response.addTrailers(pairs(trailers));
    this.#isWhole = true;
    if (!this.#isHeadHeld) this.#response.end();
    // An answer that came before the upload ended: the rest is read and forgotten, so that the caller gets to read it.
    if (!this.#request.readableEnded) this.#request.resume();
  }

  breakOff(why: Cut, reference: string): void {
    const { socket } = this.#response;
    const canSpeak = this.#response.writable && !this.#isWhole;
    const words = canSpeak ? this.#following?.lastWords(why, reference) : undefined;
    if (words?.body !== undefined) {
      this.write(words.body);
      this.end([]);
      return;
    }
    // A plain FIN would be the regular end of an answer without a length.
    if (socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
    else this.#response.destroy();
  }

  onClose(done: (complete: boolean) => void): void {
    const response = this.#response;
    if (response.destroyed || this.#request.socket.destroyed) {
      // Closed while the caller's credential was looked at: no event tells of it again.
      done(false);
      return;
    }
    response.on('close', () => done(response.writableFinished));
  }

  #flush(): void {
    if (!this.#isHeadHeld) return;
    this.#isHeadHeld = false;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#response.write(held);
    // Not with flushHeaders(), which writes the head as UTF-8: values beyond ASCII would arrive as other bytes.
    else this.#response.write('', 'latin1');
  }

  /** Node writes head and body in one piece when both are strings of one encoding; as latin1 they stay the bytes they are. */
  #writeWhole(): void {
    const held = this.#held;
    this.#isHeadHeld = false;
    this.#held = undefined;
    if (held === undefined) this.#response.end();
    else this.#response.end(Buffer.from(held.buffer, held.byteOffset, held.byteLength).toString('latin1'), 'latin1');
  }

  /** Node refuses a Trailer field on any other message. */
  #isChunked(head: AnswerHead): boolean {
    if (head.hasLength || head.status === 204 || head.status === 304) return false;
    return this.#request.method !== 'HEAD' && this.#request.httpVersion === '1.1';
  }
}

function withoutTrailerField(fields: string[]): string[] {
  const at = fields.findIndex((part, i) => i % 2 === 0 && part.length === 7 && part.toLowerCase() === 'trailer');
  return at === -1 ? fields : withoutTrailerField(fields.toSpliced(at, 2));
}
