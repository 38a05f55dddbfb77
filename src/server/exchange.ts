import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { RequestHead } from './request-head.ts';

/** A whole reply of the gateway's own: small, complete, sent at once. */
export interface Reply {
  /** 200 to 599. */
  readonly status: number;
  /** Flat: name, value, name, value … in the order they are sent. `Content-Length` is added by `send`. */
  readonly fields: readonly string[];
  readonly body?: string | Uint8Array;
  /** After the body, flat like the fields; over HTTP/2 only, and there `Content-Length` is left out. */
  readonly trailers?: readonly string[];
}

/** The connection underneath: only `forward` may touch it, to stream. */
export type Wire =
  | { readonly kind: 'http1'; readonly request: IncomingMessage; readonly response: ServerResponse }
  | { readonly kind: 'http2'; readonly stream: ServerHttp2Stream; readonly headers: IncomingHttpHeaders }
  | { readonly kind: 'upgrade'; readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };

/** One request and the way to answer it. */
export interface Exchange {
  readonly head: RequestHead;
  readonly wire: Wire;
  /** The connection it came in on, to remember things by and for nothing else. */
  readonly connection: object;
  /** Reference of this request in logs, answers and towards the upstream (`X-Request-ID`); made when first asked for. */
  readonly id: string;
  /** When the head was complete: milliseconds of `performance.now()`. */
  readonly startedAt: number;
  /**
   * Whether nobody is left to answer: the caller closed or reset its connection or stream, or has its answer already.
   * Whoever waited for something asks this before acting on it: no event will tell of a close that has already been.
   */
  readonly isGone: boolean;
  /**
   * Sends a complete reply; for a refused upgrade writes the response and closes the socket. A request body that is still
   * on its way ends the HTTP/1.1 connection, unless it is so short that discarding it costs less; in HTTP/2 it is
   * cancelled. Does nothing when the caller is already gone or was answered. HEAD gets no body.
   *
   * @throws {TypeError} for a field that cannot be written: a mistake in the gateway
   */
  send(reply: Reply): void;
}

/** What the gateway does with every exchange; a rejected promise is a bug and is answered with a bare 500. */
export type Handler = (exchange: Exchange) => void | Promise<void>;
