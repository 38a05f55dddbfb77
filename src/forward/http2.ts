import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { Contain } from '../server/contain.ts';
import type { Address } from './address.ts';
import { type Over, overBefore } from './cut.ts';
import { grouped, isFinalStatus, MAX_INTERIM } from './downstream.ts';
import { isGrpc } from './downstream-http2.ts';
import { type Headers, hostFor } from './headers.ts';
import type { Passage } from './http1.ts';
import type { Session } from './http2-sessions.ts';
import { Http2Upload } from './http2-upload.ts';
import type { Forwarded } from './plan.ts';
import type { Ending, Held } from './under-way.ts';
import type { Http2Connections, Measure } from './upstream.ts';
import { bodyTooLarge, failed, isBodyTooLarge, saysNothingOfThem, UpstreamError, wasLate } from './upstream-failure.ts';
import type { Waiter, Waiting } from './waiting.ts';

interface Needs {
  readonly headers: Headers;
  readonly connections: Http2Connections;
  readonly scheme: 'http' | 'https';
  /** Where requests wait for the head of their answer. */
  readonly heads: Waiting;
  readonly measure: Measure;
  readonly contain: Contain;
}

/** Passes a request on to an HTTP/2 upstream and the answer back, with the trailers of both. */
export function forwardHttp2(passage: Passage, needs: Needs): Promise<Forwarded> {
  return new Promise((resolve) => {
    new Http2Transfer(passage, needs, resolve).begin();
  });
}

class Http2Transfer implements Waiter, Ending {
  readonly #passage: Passage;
  readonly #needs: Needs;
  readonly #resolve: (forwarded: Forwarded) => void;
  /** Until the answer began: an idle stream must not hold on to what was said long ago. */
  #fields: readonly string[];
  readonly #upload: Http2Upload | undefined;
  #up: ClientHttp2Stream | undefined;
  /** Where it was sent last. */
  #address: Address | undefined;
  #status = 0;
  #trailers: readonly string[] = [];
  #error: Error | undefined;
  #interim = 0;
  #isRetried = false;
  /** The upstream's part ended regularly, or is of no interest any more. */
  #isEnded = false;
  #isTruncated = false;
  /** Nothing but trailers ends the answer: one of gRPC, without them, was cut short. */
  #endsByTrailers = false;
  #hasTrailers = false;
  /** Told to end. */
  #isCut = false;
  #held: Held | undefined;
  #isOver = false;
  /** While it waits for the head of the answer. */
  #ticket: number | undefined;
  /** One for all listeners. */
  readonly #crash = () => {
    this.#up?.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (this.#status !== 0) this.#breakOff();
    else this.#fail(new UpstreamError('upstream_broken', 'the exchange could not be passed on'), true);
  };

  constructor(passage: Passage, needs: Needs, resolve: (forwarded: Forwarded) => void) {
    this.#passage = passage;
    this.#needs = needs;
    this.#resolve = resolve;
    const { exchange, plan, downstream } = passage;
    const { fields, announcesBody } = needs.headers.request(exchange, plan, 'http2');
    if (downstream.hasBody(announcesBody)) {
      this.#upload = new Http2Upload(downstream.body, {
        maxBytes: plan.maxBodyBytes,
        contained: (listener) => this.#contained(listener),
        onSent: () => this.#awaitHead(),
        onTooLarge: (maxBytes) => this.#refuseBody(maxBytes),
      });
    }
    this.#fields = [
      ':method',
      exchange.head.method,
      ':scheme',
      needs.scheme,
      ':authority',
      hostFor(exchange, plan),
      ':path',
      exchange.head.target,
      ...fields,
    ];
  }

  begin(): void {
    const { downstream, plan, underWay } = this.#passage;
    downstream.onClose(this.#contained((complete: boolean) => this.#callerClosed(complete)));
    if (this.#isOver) return;
    if (plan.life !== undefined) this.#held = underWay.begin(this, plan.life);
    this.#open();
  }

  end(why: Over): void {
    if (this.#isOver) return;
    const { downstream, exchange } = this.#passage;
    if (this.#status === 0) this.#finish(overBefore(why));
    // One that came whole gets a moment to go out; told again, it is cut like any other.
    else if (!this.#isEnded || this.#isCut) downstream.breakOff(why, exchange.id);
    this.#isCut = true;
    this.#isEnded = true;
    this.#up?.close(constants.NGHTTP2_CANCEL);
  }

  /** @param avoid not there, when there is another address */
  #open(avoid?: Address): void {
    const upload = this.#upload;
    let up: ClientHttp2Stream;
    let session: Session;
    try {
      const found = this.#needs.connections.find(avoid);
      if (found === undefined) throw new UpstreamError('upstream_unreachable', 'all HTTP/2 connections are full');
      this.#address = found.address;
      session = found.session;
      up = session.request(this.#fields, upload === undefined);
    } catch (error) {
      // No session can be had, or the last one ended this very moment: either way nothing was sent.
      this.#fail(error, false);
      return;
    }
    this.#up = up;
    // Trailers are the end of a gRPC answer; of any other the end has to be looked at more closely, which costs as much as
    // the header rules.
    if (!isGrpcCall(this.#passage)) {
      watchTruncation(up, () => {
        this.#isTruncated = true;
      });
    }
    this.#listen(up, session);
    if (upload === undefined) {
      this.#awaitHead();
      return;
    }
    up.on('wantTrailers', () => this.#sendTrailers(up));
    upload.sendTo(up);
  }

  #listen(up: ClientHttp2Stream, session: Session): void {
    const heard = <Args extends readonly unknown[]>(event: string, listener: (...args: Args) => void) =>
      up.on(event, this.#contained(listener));
    heard('headers', (headers: IncomingHttpHeaders, _flags: number, raw: string[]) => this.#informed(headers, raw));
    heard('response', (headers: IncomingHttpHeaders & IncomingHttpStatusHeader, flags: number, raw: string[]) => {
      session.answered();
      const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#endsByTrailers = !isWhole && isGrpcCall(this.#passage) && isGrpc(headers);
      this.#answered(headers[':status'] ?? 0, flags, raw);
    });
    heard('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      this.#hasTrailers = true;
      this.#trailers = this.#needs.headers.trailers(raw);
    });
    heard('data', (chunk: Buffer) => this.#data(up, chunk));
    heard('end', () => this.#ended());
    heard('close', () => this.#closed(up, session));
    up.on('error', (error) => {
      this.#error = error;
    });
  }

  /** A listener that ends this one exchange, on both sides, instead of throwing. */
  #contained<Args extends readonly unknown[]>(listener: (...args: Args) => void): (...args: Args) => void {
    return this.#needs.contain(listener, this.#crash);
  }

  /** The upstream must not take what came for the whole. */
  #refuseBody(maxBytes: number): void {
    const up = this.#up;
    if (this.#isOver || up === undefined || up.closed) return;
    if (this.#status === 0) this.#fail(bodyTooLarge(maxBytes), true);
    else {
      this.#isEnded = true;
      this.#passage.downstream.breakOff('body_too_large', this.#passage.exchange.id);
    }
    up.close(constants.NGHTTP2_CANCEL);
  }

  #sendTrailers(up: ClientHttp2Stream): void {
    if (up.destroyed || up.closed) return;
    try {
      up.sendTrailers(grouped(this.#needs.headers.trailers(this.#passage.downstream.trailers())));
    } catch {
      // The caller's fields, so no mistake of ours to be logged: the upstream must not take the request for complete.
      up.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }

  /** From the end of the request on, the head of the answer must come in time; a stream once begun has no limit. */
  #awaitHead(): void {
    if (this.#status !== 0 || this.#isOver) return;
    this.#leave();
    this.#ticket = this.#needs.heads.enter(this);
    if (this.#ticket !== undefined) return;
    this.#fail(new UpstreamError('upstream_unreachable', 'too many requests wait for an answer'), true);
    this.#up?.close(constants.NGHTTP2_CANCEL);
  }

  giveUp(): void {
    this.#fail(new UpstreamError('upstream_timeout', 'no head in time'), true);
    this.#up?.close(constants.NGHTTP2_CANCEL);
  }

  #leave(): void {
    if (this.#ticket !== undefined) this.#needs.heads.leave(this.#ticket, this);
    this.#ticket = undefined;
  }

  #informed(headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const { downstream } = this.#passage;
    if (this.#isOver || this.#status !== 0) return;
    this.#interim += 1;
    if (this.#interim > MAX_INTERIM) {
      this.#error = new UpstreamError('upstream_broken', 'interim answers without end');
      this.#up?.close(constants.NGHTTP2_CANCEL);
      return;
    }
    downstream.inform(Number(headers[':status']), this.#needs.headers.answer(raw, downstream.hop).fields);
  }

  #answered(status: number, flags: number, raw: readonly string[]): void {
    if (this.#isOver || this.#status !== 0) return;
    this.#leave();
    this.#upload?.forget();
    const { downstream, plan } = this.#passage;
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    try {
      if (!isFinalStatus(status)) throw new UpstreamError('upstream_broken', `${status} is no status`);
      const answer = this.#needs.headers.answer(raw, downstream.hop, plan.setCookie);
      downstream.start({ status, ...answer, endStream });
    } catch (error) {
      // Fields that cannot be said to the caller: nothing went out, the reply is still ours to make.
      this.#fail(error, true);
      this.#up?.close(constants.NGHTTP2_CANCEL);
      return;
    }
    this.#status = status;
    this.#fields = [];
    this.#needs.measure.answered();
  }

  #data(up: ClientHttp2Stream, chunk: Buffer): void {
    if (this.#isOver || this.#isCut || this.#passage.downstream.write(chunk)) return;
    up.pause();
    this.#passage.downstream.onDrain(() => up.resume());
  }

  #ended(): void {
    const isShort = this.#isTruncated || (this.#endsByTrailers && !this.#hasTrailers);
    if (isShort || this.#isCut || this.#status === 0) return; // 'close' follows and says how
    this.#isEnded = true;
    this.#passage.downstream.end(this.#trailers);
  }

  #closed(up: ClientHttp2Stream, session: Session): void {
    if (this.#isOver || this.#isEnded) return;
    if (this.#status !== 0) {
      this.#breakOff();
      return;
    }
    this.#leave();
    const cause = session.error ?? this.#error ?? new Error(`stream closed with HTTP/2 error code ${up.rstCode}`);
    if (this.#mayRetry(up, session, cause)) this.#open(this.#address);
    else this.#fail(cause, session.isConnected);
  }

  #breakOff(): void {
    const { downstream, exchange, whyLost } = this.#passage;
    downstream.breakOff(whyLost(), exchange.id);
  }

  /**
   * A request goes out once more when nothing of it was processed: its connection never stood, or it was refused or came
   * after the last one that GOAWAY counts, which both say REFUSED_STREAM (RFC 9113 §8.7) – and a safe one also when its
   * connection was lost.
   */
  #mayRetry(up: ClientHttp2Stream, session: Session, cause: Error): boolean {
    const address = this.#address;
    if (this.#isRetried || this.#interim > 0 || address === undefined) return false;
    if (this.#upload?.isRepeatable === false || saysNothingOfThem(cause)) return false;
    const isUnprocessed = up.rstCode === constants.NGHTTP2_REFUSED_STREAM || !session.isConnected;
    if (!isUnprocessed && !(session.isLost && this.#isSafe())) return false;
    // To wait as long once more, where nobody answered, would help no one.
    if (wasLate(cause) && !this.#needs.connections.hasOther(address)) return false;
    this.#isRetried = true;
    this.#isTruncated = false;
    this.#error = undefined;
    return true;
  }

  #isSafe(): boolean {
    const { method } = this.#passage.exchange.head;
    return (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') && this.#upload === undefined;
  }

  #fail(cause: unknown, wasConnected: boolean): void {
    if (this.#isOver) return;
    if (!isBodyTooLarge(cause)) this.#needs.measure.failed();
    this.#finish(failed(cause, wasConnected, this.#passage.whyLost()));
  }

  #callerClosed(complete: boolean): void {
    if (this.#isOver) return;
    const { downstream } = this.#passage;
    if (this.#status === 0) this.#finish({ kind: 'abandoned' });
    else this.#finish({ kind: 'answered', status: this.#status, bytes: downstream.bytes, complete });
    this.#up?.close(complete ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
  }

  #finish(forwarded: Forwarded): void {
    this.#isOver = true;
    this.#held?.leave(this);
    this.#leave();
    this.#upload?.drop();
    this.#resolve(forwarded);
  }
}

function isGrpcCall({ exchange: { wire } }: Passage): boolean {
  return wire.kind === 'http2' && isGrpc(wire.headers);
}

/**
 * Notices a stream that was reset without error before its END_STREAM. Node ends it like a complete one; the difference
 * shows only in that the stream is closed before its end is known, not after. Only the first end counts: Node says it
 * again when it closes the stream, on a busy session before anybody has heard of the first.
 */
function watchTruncation(stream: ClientHttp2Stream, onTruncated: () => void): void {
  const push = stream.push.bind(stream);
  let isEndKnown = false;
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !isEndKnown) {
      isEndKnown = true;
      if (stream.closed) onTruncated();
    }
    return push(chunk, encoding);
  };
}
