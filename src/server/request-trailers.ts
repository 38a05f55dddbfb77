import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

const RECEIVED = Symbol('request trailers');

/** On the stream itself: a table of weak keys costs more, with each request and at each collection, than the header rules. */
interface Kept {
  [RECEIVED]?: readonly string[];
}

const none: readonly string[] = [];

/**
 * Keeps the trailers of a request for whoever asks later. Node tells of them once, when they arrive, which may be before
 * anybody has looked at the body: a caller does not wait until its credential is proved. A second call does nothing.
 */
export function keepRequestTrailers(stream: ServerHttp2Stream & Kept): void {
  if (stream.endAfterHeaders || stream[RECEIVED] !== undefined) return;
  stream[RECEIVED] = none;
  stream.on('trailers', keep);
}

function keep(
  this: ServerHttp2Stream & Kept,
  _head: IncomingHttpHeaders,
  _flags: number,
  raw: readonly string[],
): void {
  this[RECEIVED] = raw;
}

/** The trailers that have come so far: flat, whole once the body has ended. */
export function requestTrailers(stream: ServerHttp2Stream & Kept): readonly string[] {
  return stream[RECEIVED] ?? none;
}
