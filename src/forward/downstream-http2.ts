import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Wire } from '../server/exchange.ts';
import { keepRequestTrailers, requestTrailers } from '../server/request-trailers.ts';
import { stopUpload } from '../server/stop-upload.ts';
import { countWritten } from '../server/written.ts';
import type { Cut } from './cut.ts';
import { type AnswerHead, type Downstream, grouped } from './downstream.ts';
import { type Following, followAnswer } from './last-words.ts';
import { withoutRepeats } from './single-fields.ts';

const DOWNSTREAM = Symbol('downstream');

/** A caller's stream, with what answers it until the exchange is over. The listeners are the same for every stream. */
type Carrier = ServerHttp2Stream & { [DOWNSTREAM]?: Http2Downstream | undefined };

// What an error means is told by 'close'; without a listener it would end the process.
const unheard = () => undefined;

function onWantTrailers(this: Carrier): void {
  this[DOWNSTREAM]?.sendTrailers();
}

// 'aborted' comes at once; 'end' of the body and 'close' would look regular or wait for what is buffered.
function onAborted(this: Carrier): void {
  this[DOWNSTREAM]?.over(false);
}

function onClose(this: Carrier): void {
  this[DOWNSTREAM]?.over(this.writableFinished && this.rstCode === constants.NGHTTP2_NO_ERROR);
}

/** A caller that speaks HTTP/2. */
export class Http2Downstream implements Downstream {
  readonly hop = 'http2';
  readonly #stream: Carrier;
  #following: Following | undefined;
  #answerTrailers: readonly string[] = [];
  #done: ((complete: boolean) => void) | undefined;
  bytes = 0;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    keepRequestTrailers(stream);
    this.#stream[DOWNSTREAM] = this;
    stream.on('error', unheard);
  }

  get body(): Readable {
    return this.#stream;
  }

  hasBody(): boolean {
    return !this.#stream.endAfterHeaders;
  }

  trailers(): readonly string[] {
    return requestTrailers(this.#stream);
  }

  inform(status: number, fields: readonly string[]): void {
    if (status === 101 || !this.#isOpen() || this.#stream.headersSent) return;
    try {
      this.#stream.additionalHeaders({ ...grouped(fields), ':status': status });
    } catch {
      // A hint that cannot be written is not worth an answer: the final one follows.
    }
  }

  start(head: AnswerHead): void {
    if (!this.#isOpen()) return;
    const { endStream } = head;
    if (!head.hasLength) this.#following = followAnswer(head.fields, true);
    // Trailers are always announced to Node: only then can a broken answer still be reset. Without them Node would mark
    // the last frame before the reset as a regular end of stream.
    const options = { endStream, waitForTrailers: !endStream, sendDate: false };
    this.#stream.on('wantTrailers', onWantTrailers);
    this.#stream.respond([':status', String(head.status), ...withoutRepeats(head.fields)], options);
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#stream.writable) return true; // reset by the caller: 'close' follows
    this.bytes += chunk.byteLength;
    countWritten(this.#stream, chunk.byteLength);
    this.#following?.pass(chunk);
    return this.#stream.write(chunk);
  }

  onDrain(resume: () => void): void {
    this.#stream.once('drain', resume);
  }

  end(trailers: readonly string[]): void {
    this.#answerTrailers = trailers;
    const stream = this.#stream;
    // A caller that still uploads may go on; nobody looks at it.
    if (!stream.readableEnded) stream.resume();
    if (stream.writable) stream.end();
    // But a call is over with its answer: a service may still want the rest of any other upload.
    if (this.#following !== undefined && !stream.endAfterHeaders && !stream.readableEnded) stopUpload(stream);
  }

  breakOff(why: Cut, reference: string): void {
    const canSpeak = this.#isOpen() && this.#stream.writable;
    const words = canSpeak ? this.#following?.lastWords(why, reference) : undefined;
    if (words === undefined) {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (words.body !== undefined) this.write(words.body);
    this.end(words.trailers);
  }

  onClose(done: (complete: boolean) => void): void {
    const stream = this.#stream;
    if (!this.#isOpen()) {
      // Reset while its credential was looked at: no event tells of it again.
      done(false);
      return;
    }
    this.#done = done;
    stream.on('aborted', onAborted);
    stream.on('close', onClose);
  }

  over(complete: boolean): void {
    this.#stream[DOWNSTREAM] = undefined;
    this.#done?.(complete);
    this.#done = undefined;
  }

  #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  sendTrailers(): void {
    if (!this.#isOpen()) return;
    try {
      this.#stream.sendTrailers(grouped(this.#answerTrailers));
    } catch {
      // Thrown from an event it would end the process. The caller learns that the answer is not complete.
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }
}

/** Whether the caller speaks gRPC proper: gRPC-Web is made for HTTP/1.1 and goes the way of everything else. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return /^application\/grpc($|[+;])/i.test(headers['content-type'] ?? '');
}

/** The same of a request as it came in. */
export function isGrpcCall(wire: Wire): boolean {
  return wire.kind === 'http2' && isGrpc(wire.headers);
}
