import type { Dispatcher } from 'undici';
import type { Exchange } from '../server/exchange.ts';
import type { Waiter } from '../server/waiting.ts';
import type { Address } from './address.ts';
import { type Cut, type Over, overBefore } from './cut.ts';
import { type Downstream, isFinalStatus, MAX_INTERIM } from './downstream.ts';
import type { Headers } from './headers.ts';
import type { Http1Client } from './http1-clients.ts';
import type { Http1Connections, Sender } from './http1-connections.ts';
import type { Forwarded, ForwardPlan } from './plan.ts';
import type { RawFields } from './raw-fields.ts';
import type { Ending, Held, UnderWay } from './under-way.ts';
import { Upload } from './upload.ts';
import type { Measure } from './upstream.ts';
import {
  failed,
  isBodyTooLarge,
  isOurMistake,
  saysNothingOfThem,
  UpstreamError,
  wasClosed,
  wasLate,
} from './upstream-failure.ts';

/** One request to be passed on. */
export interface Passage {
  readonly exchange: Exchange;
  readonly plan: ForwardPlan;
  readonly downstream: Downstream;
  /** What it means when the upstream's side ends in the middle. */
  readonly whyLost: () => Cut;
  readonly underWay: UnderWay;
}

/** Passes a request on to an HTTP/1.1 upstream and the answer back, streaming both ways. Rejects for our own mistakes. */
export function forwardHttp1(
  passage: Passage,
  needs: { headers: Headers; connections: Http1Connections; measure: Measure },
): Promise<Forwarded> {
  return new Promise((resolve) => {
    new Http1Transfer(passage, needs, resolve).begin();
  });
}

type Controller = Dispatcher.DispatchController;

/** One object per request, and no closures but one: this is the path that has to be fast. */
class Http1Transfer implements Dispatcher.DispatchHandler, Waiter, Sender, Ending {
  readonly #passage: Passage;
  readonly #headers: Headers;
  readonly #connections: Http1Connections;
  readonly #measure: Measure;
  readonly #resolve: (forwarded: Forwarded | Promise<never>) => void;
  #options: Dispatcher.DispatchOptions & { servername: string };
  /** Where it was sent, while it has a place there. */
  #address: Address | undefined;
  /** Of that address. */
  #client: Http1Client | undefined;
  avoid: Address | undefined;
  #controller: Controller | undefined;
  /** While it waits for a connection. */
  #ticket: number | undefined;
  /** Status of the answer, once its head went to the caller. */
  #status = 0;
  /** The upstream began to answer: from then on nothing may be sent again. */
  #isHeard = false;
  /** Nothing of it is left on its connection: the answer came to its end, or nothing was sent. */
  #isReusable = false;
  #interim = 0;
  #isRetried = false;
  /** Told to end: what the upstream still says is of no interest. */
  #isCut = false;
  #held: Held | undefined;
  #isOver = false;
  /** undici has it and has not begun: it cannot be taken back, and its place is taken until undici is done with it. */
  #isHandedIn = false;
  /** It was abandoned meanwhile. */
  #isGhost = false;

  constructor(
    passage: Passage,
    needs: { headers: Headers; connections: Http1Connections; measure: Measure },
    resolve: (forwarded: Forwarded | Promise<never>) => void,
  ) {
    const { exchange, plan, downstream } = passage;
    this.#passage = passage;
    this.#headers = needs.headers;
    this.#connections = needs.connections;
    this.#measure = needs.measure;
    this.#resolve = resolve;
    const { fields, announcesBody } = needs.headers.request(exchange, plan, 'http1');
    this.#options = {
      path: exchange.head.target,
      method: exchange.head.method,
      headers: fields,
      body: downstream.hasBody(announcesBody) ? new Upload(downstream.body, plan.maxBodyBytes) : null,
      servername: needs.connections.servername,
    };
  }

  begin(): void {
    const { downstream, plan, underWay } = this.#passage;
    downstream.onClose((complete) => this.#callerClosed(complete));
    if (this.#isOver) return;
    if (plan.life !== undefined) this.#held = underWay.begin(this, plan.life);
    this.#dispatch();
  }

  end(why: Over): void {
    if (this.#isOver) return;
    const controller = this.#controller;
    if (this.#status === 0) this.#finish(overBefore(why));
    // One that came whole gets a moment to go out; told again, it is cut like any other.
    else if (controller !== undefined || this.#isCut) this.#passage.downstream.breakOff(why, this.#passage.exchange.id);
    this.#isCut = true;
    controller?.abort(new Error('what it was let in by is over'));
  }

  giveUp(): void {
    this.#fail(new UpstreamError('upstream_unreachable', 'no connection came free in time'));
  }

  onRequestStart(controller: Controller): void {
    this.#isReusable = this.#isOver;
    this.#handedBack();
    this.#leave();
    // Thrown before a byte is written: the connection stays good for somebody else.
    if (this.#isOver) throw new UpstreamError('upstream_unreachable', 'given up before a connection was ready');
    this.#controller = controller;
  }

  onResponseStarted(): void {
    this.#isHeard = true;
    this.#address?.health.answered();
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, reason?: string): void {
    const { downstream, plan } = this.#passage;
    if (this.#isOver) return;
    const raw = rawFields(controller.rawHeaders);
    if (status >= 100 && status < 200) {
      this.#interim += 1;
      if (this.#interim > MAX_INTERIM) throw new UpstreamError('upstream_broken', 'interim answers without end');
      downstream.inform(status, this.#headers.answer(raw, downstream.hop).fields);
      return;
    }
    if (!isFinalStatus(status)) throw new UpstreamError('upstream_broken', `${status} is no status`);
    const answer = this.#headers.answer(raw, downstream.hop, plan.setCookie);
    // Throws for fields that cannot be sent on: then undici ends the connection and reports the error below.
    downstream.start({ status, ...(reason && { reason: asSent(reason) }), ...answer, endStream: false });
    this.#status = status;
    this.#measure.answered();
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#isOver || this.#isCut || this.#passage.downstream.write(chunk)) return;
    controller.pause();
    this.#passage.downstream.onDrain(() => controller.resume());
  }

  onResponseEnd(controller: Controller): void {
    this.#controller = undefined;
    this.#isReusable = true;
    if (this.#isOver || this.#isCut) return;
    const trailers = rawFields(controller.rawTrailers);
    this.#passage.downstream.end(trailers.length === 0 ? [] : this.#headers.trailers(trailers));
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    const wasConnected = this.#controller !== undefined;
    this.#controller = undefined;
    this.#handedBack();
    if (this.#isOver || this.#isCut) return;
    if (this.#status !== 0) this.#breakOff(error);
    else if (isOurMistake(error)) this.#finish(Promise.reject(error));
    else if (this.#mayRetry(error, wasConnected)) this.#dispatch();
    else this.#fail(error, wasConnected);
  }

  sendTo(address: Address): void {
    this.#address = address;
    this.#isHandedIn = true;
    this.#client = address.http1.take();
    this.#client.client.dispatch(this.#options, this);
  }

  #breakOff(cause: Error): void {
    const { downstream, exchange, whyLost } = this.#passage;
    downstream.breakOff(isBodyTooLarge(cause) ? 'body_too_large' : whyLost(), exchange.id);
  }

  #dispatch(): void {
    this.#ticket = this.#connections.waiting.enter(this);
    if (this.#ticket !== undefined) this.#connections.send(this);
    else this.#fail(new UpstreamError('upstream_unreachable', 'too many requests wait for a connection'));
  }

  /**
   * A safe request whose connection was closed, most likely while it lay idle (RFC 9112 §9.3.1), may go out once more, and
   * any request whose connection never stood, for nothing of it was sent.
   */
  #mayRetry(error: Error, wasConnected: boolean): boolean {
    const address = this.#address;
    if (this.#isHeard || address === undefined || saysNothingOfThem(error)) return false;
    if (!wasConnected) address.health.unreachable(error);
    else if (wasClosed(error)) address.health.cut(error);
    if (this.#isRetried || !(wasConnected ? this.#isSafe(error) : this.#isUnsent(address, error))) return false;
    this.#isRetried = true;
    this.avoid = address;
    this.#leave();
    this.#leaveAddress();
    return true;
  }

  #isSafe(error: Error): boolean {
    const { method, body } = this.#options;
    return (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') && body === null && wasClosed(error);
  }

  #isUnsent(address: Address, error: Error): boolean {
    const { body } = this.#options;
    // To wait as long once more, where nobody answered, would help no one.
    if (wasLate(error) && !this.#connections.addresses.hasOther(address)) return false;
    if (!(body instanceof Upload)) return true;
    if (body.isBegun) return false;
    body.destroy();
    const { downstream, plan } = this.#passage;
    this.#options = { ...this.#options, body: new Upload(downstream.body, plan.maxBodyBytes) };
    return true;
  }

  #leave(): void {
    if (this.#ticket === undefined) return;
    this.#connections.waiting.leave(this.#ticket, this);
    this.#ticket = undefined;
    if (this.#address === undefined) this.#connections.withdraw(this);
  }

  #leaveAddress(): void {
    const address = this.#address;
    const client = this.#client;
    if (address === undefined || client === undefined || this.#isHandedIn) return;
    this.#address = undefined;
    this.#client = undefined;
    if (this.#isReusable) address.http1.giveBack(client);
    else address.http1.drop(client);
    this.#connections.done(address);
  }

  #handedBack(): void {
    this.#isHandedIn = false;
    if (!this.#isOver) return;
    this.#leaveAddress();
    if (this.#isGhost) this.#resolve({ kind: 'abandoned' });
  }

  #fail(cause: Error, wasConnected = false): void {
    if (!isBodyTooLarge(cause)) this.#measure.failed();
    this.#finish(failed(cause, wasConnected, this.#passage.whyLost()));
  }

  #callerClosed(complete: boolean): void {
    if (this.#isOver) return;
    const { downstream } = this.#passage;
    // Callers who come and go while nobody answers must not have more handed in than there are places, nor strangers their share.
    this.#isGhost = this.#isHandedIn;
    if (this.#status === 0) this.#finish({ kind: 'abandoned' });
    else this.#finish({ kind: 'answered', status: this.#status, bytes: downstream.bytes, complete });
    this.#controller?.abort(new Error('the caller went away'));
  }

  #finish(forwarded: Forwarded | Promise<never>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held?.leave(this);
    this.#leave();
    this.#leaveAddress();
    const { body } = this.#options;
    if (body instanceof Upload) body.destroy();
    if (!this.#isGhost) this.#resolve(forwarded);
  }
}

/** The parser read the phrase as UTF-8; on the wire it goes as the same bytes. */
function asSent(reason: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, all of it
  return /^[\x00-\x7f]*$/.test(reason) ? reason : Buffer.from(reason, 'utf8').toString('latin1');
}

function rawFields(raw: Controller['rawHeaders']): RawFields {
  return Array.isArray(raw) ? raw : [];
}
