import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

const received = new WeakMap<ServerHttp2Stream, readonly string[]>();

/**
 * Keeps the trailers of a request for whoever asks later. Node tells of them once, when they arrive, which may be before
 * anybody has looked at the body: a caller does not wait until its credential is proved. A second call does nothing.
 */
export function keepRequestTrailers(stream: ServerHttp2Stream): void {
  if (stream.endAfterHeaders || received.has(stream)) return;
  received.set(stream, []);
  stream.once('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: readonly string[]) => {
    received.set(stream, raw);
  });
}

/** The trailers that have come so far: flat, whole once the body has ended. */
export function requestTrailers(stream: ServerHttp2Stream): readonly string[] {
  return received.get(stream) ?? [];
}
