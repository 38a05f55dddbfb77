import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { Contain } from '../server/contain.ts';
import { letGo } from '../server/http2-unread.ts';
import type { Waiter, Waiting } from '../server/waiting.ts';
import type { Address } from './address.ts';
import { type Over, overBefore } from './cut.ts';
import { grouped, isFinalStatus, MAX_INTERIM } from './downstream.ts';
import { isGrpc, isGrpcCall } from './downstream-http2.ts';
import { type Headers, hostFor } from './headers.ts';
import type { Passage } from './http1.ts';
import { mayTryAgain } from './http2-second-try.ts';
import type { Session } from './http2-sessions.ts';
import { isTruncated, watchTruncation } from './http2-truncation.ts';
import { createUploadListeners, Http2Upload, type UploadListeners, type UploadOwner } from './http2-upload.ts';
import type { Forwarded } from './plan.ts';
import type { Ending, Held } from './under-way.ts';
import type { Http2Connections, Measure } from './upstream.ts';
import { bodyTooLarge, failed, isBodyTooLarge, UpstreamError, wasLate } from './upstream-failure.ts';

interface Needs {
  readonly headers: Headers;
  readonly connections: Http2Connections;
  readonly scheme: 'http' | 'https';
  /** Where requests wait for the head of their answer. */
  readonly heads: Waiting;
  readonly measure: Measure;
  readonly listeners: Http2Listeners;
}

const TRANSFER = Symbol('transfer');

/** A stream to an upstream, with what it is there for until its end. */
type Carrier = ClientHttp2Stream & { [TRANSFER]?: Http2Transfer | undefined };

// The same functions for every stream: with closures of its own each, whatever a request held on to would live as long as
// Node remembers its streams, past several collections (measured: half of what those copy).
export interface Http2Listeners {
  readonly listen: (up: ClientHttp2Stream) => void;
  readonly upload: UploadListeners;
  readonly contain: Contain;
}

export function createHttp2Listeners(contain: Contain): Http2Listeners {
  return { listen: Http2Transfer.listeners(contain), upload: createUploadListeners(contain), contain };
}

/** Passes a request on to an HTTP/2 upstream and the answer back, with the trailers of both. */
export function forwardHttp2(passage: Passage, needs: Needs): Promise<Forwarded> {
  return new Promise((resolve) => {
    new Http2Transfer(passage, needs, resolve).begin();
  });
}

class Http2Transfer implements Waiter, UploadOwner, Ending {
  readonly #passage: Passage;
  readonly #needs: Needs;
  readonly #resolve: (forwarded: Forwarded) => void;
  /** Until the answer began: an idle stream must not hold on to what was said long ago. */
  #fields: readonly string[];
  readonly #upload: Http2Upload | undefined;
  #up: ClientHttp2Stream | undefined;
  #session: Session | undefined;
  /** Where it was sent last. */
  #address: Address | undefined;
  #status = 0;
  #trailers: readonly string[] = [];
  #error: Error | undefined;
  #interim = 0;
  #isRetried = false;
  /** The upstream's part ended regularly, or is of no interest any more. */
  #isEnded = false;
  /** Nothing but trailers ends the answer: one of gRPC, without them, was cut short. */
  #endsByTrailers = false;
  #hasTrailers = false;
  /** Told to end. */
  #isCut = false;
  #held: Held | undefined;
  #isOver = false;
  /** While it waits for the head of the answer. */
  #ticket: number | undefined;

  constructor(passage: Passage, needs: Needs, resolve: (forwarded: Forwarded) => void) {
    this.#passage = passage;
    this.#needs = needs;
    this.#resolve = resolve;
    const { exchange, plan, downstream } = passage;
    const { method, target } = exchange.head;
    const pseudo = [':method', method, ':scheme', needs.scheme, ':authority', hostFor(exchange, plan), ':path', target];
    const { fields, announcesBody } = needs.headers.request(exchange, plan, 'http2', pseudo);
    if (downstream.hasBody(announcesBody)) {
      this.#upload = new Http2Upload(downstream.body, this, needs.listeners.upload, plan.maxBodyBytes);
    }
    this.#fields = fields;
  }

  begin(): void {
    const { downstream, plan, underWay } = this.#passage;
    const { contain } = this.#needs.listeners;
    const closed = (complete: boolean) => this.#callerClosed(complete);
    downstream.onClose(contain(closed, () => this.crash()));
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

  /** A mistake of ours: it is this one exchange that ends, on both sides. */
  crash(): void {
    this.#up?.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (this.#status !== 0) this.#breakOff();
    else this.#fail(new UpstreamError('upstream_broken', 'the exchange could not be passed on'), true);
  }

  /** @param avoid not there, when there is another address */
  #open(avoid?: Address): void {
    const upload = this.#upload;
    let up: Carrier;
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
    this.#session = session;
    up[TRANSFER] = this;
    // Also of a gRPC call: a proxy on the way may answer it with a page, which has no trailers to end by.
    watchTruncation(up);
    this.#needs.listeners.listen(up);
    if (upload === undefined) {
      this.sent();
      return;
    }
    upload.sendTo(up);
  }

  /** Each ends its one exchange, on both sides, instead of throwing. */
  static listeners(contain: Contain): Http2Listeners['listen'] {
    const heard = <Args extends readonly unknown[]>(act: (transfer: Http2Transfer, ...args: Args) => void) => {
      const contained = contain(act, (transfer: Http2Transfer, ..._args: Args) => transfer.crash());
      return function (this: Carrier, ...args: Args): void {
        const transfer = this[TRANSFER];
        if (transfer !== undefined) contained(transfer, ...args);
      };
    };
    type Head = IncomingHttpHeaders & IncomingHttpStatusHeader;
    const onHeaders = heard((transfer, head: Head, _flags: number, raw: string[]) => transfer.#informed(head, raw));
    const onResponse = heard((transfer, head: Head, flags: number, raw: string[]) =>
      transfer.#responded(head, flags, raw),
    );
    const onTrailers = heard((transfer, _head: Head, _flags: number, raw: string[]) => transfer.#ends(raw));
    const onData = heard((transfer, chunk: Buffer) => transfer.#data(chunk));
    const onEnd = heard((transfer) => transfer.#ended());
    const onWantTrailers = heard((transfer) => transfer.#sendTrailers());
    const onClose = heard((transfer) => transfer.#closed());
    const onError = heard((transfer, error: Error) => transfer.#failed(error));
    return (up) => {
      up.on('headers', onHeaders).on('response', onResponse).on('trailers', onTrailers).on('data', onData);
      up.on('end', onEnd).on('wantTrailers', onWantTrailers).on('close', onClose).on('error', onError);
    };
  }

  /** The upstream must not take what came for the whole. */
  tooLarge(maxBytes: number): void {
    const up = this.#up;
    if (this.#isOver || up === undefined || up.closed) return;
    if (this.#status === 0) this.#fail(bodyTooLarge(maxBytes), true);
    else {
      this.#isCut = true;
      this.#isEnded = true;
      this.#passage.downstream.breakOff('body_too_large', this.#passage.exchange.id);
    }
    up.close(constants.NGHTTP2_CANCEL);
  }

  #sendTrailers(): void {
    const up = this.#up;
    if (up === undefined || up.destroyed || up.closed) return;
    try {
      up.sendTrailers(grouped(this.#needs.headers.trailers(this.#passage.downstream.trailers())));
    } catch {
      // The caller's fields, so no mistake of ours to be logged: the upstream must not take the request for complete.
      up.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }

  /** From the end of the request on, the head of the answer must come in time; a stream once begun has no limit. */
  sent(): void {
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

  #responded(head: IncomingHttpHeaders & IncomingHttpStatusHeader, flags: number, raw: readonly string[]): void {
    this.#session?.answered();
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    this.#endsByTrailers = !isWhole && isGrpcCall(this.#passage.exchange.wire) && isGrpc(head);
    this.#answered(head[':status'] ?? 0, flags, raw);
  }

  #ends(raw: readonly string[]): void {
    this.#hasTrailers = true;
    this.#trailers = this.#needs.headers.trailers(raw);
  }

  #failed(error: Error): void {
    this.#error = error;
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

  #data(chunk: Buffer): void {
    if (this.#isOver || this.#isCut || this.#passage.downstream.write(chunk)) return;
    const up = this.#up;
    up?.pause();
    this.#passage.downstream.onDrain(() => up?.resume());
  }

  #ended(): void {
    const up = this.#up;
    const isShort = (up !== undefined && isTruncated(up)) || (this.#endsByTrailers && !this.#hasTrailers);
    if (isShort || this.#isCut || this.#status === 0) return; // 'close' follows and says how
    this.#isEnded = true;
    this.#passage.downstream.end(this.#trailers);
  }

  #closed(): void {
    const up: Carrier | undefined = this.#up;
    const session = this.#session;
    if (up === undefined || session === undefined) return;
    up[TRANSFER] = undefined;
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

  #mayRetry(up: ClientHttp2Stream, session: Session, cause: Error): boolean {
    const address = this.#address;
    if (this.#isRetried || this.#interim > 0 || address === undefined) return false;
    if (this.#upload?.isRepeatable === false) return false;
    const { method } = this.#passage.exchange.head;
    const isSafe = this.#upload === undefined && (method === 'GET' || method === 'HEAD' || method === 'OPTIONS');
    if (!mayTryAgain({ rstCode: up.rstCode, session, cause, isSafe })) return false;
    // To wait as long once more, where nobody answered, would help no one.
    if (wasLate(cause) && !this.#needs.connections.hasOther(address)) return false;
    this.#isRetried = true;
    this.#error = undefined;
    return true;
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
    if (this.#up) letGo(this.#up, complete ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
  }

  #finish(forwarded: Forwarded): void {
    this.#isOver = true;
    this.#held?.leave(this);
    this.#leave();
    this.#upload?.drop();
    this.#resolve(forwarded);
  }
}
