import type { ClientHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';

const END = Symbol('end');

/** A stream, and how its end came about; undefined as long as it has none. The method is the same for every stream. */
type Watched = ClientHttp2Stream & { [END]?: 'whole' | 'cut' | undefined };

const pushed = Readable.prototype.push;

// Only the first end counts: Node says it again when it closes the stream, on a busy session before anybody has heard of the first.
function push(this: Watched, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && this[END] === undefined) this[END] = this.closed ? 'cut' : 'whole';
  return pushed.call(this, chunk, encoding);
}

/** From here on `isTruncated` knows; to be called before anything has come. */
export function watchTruncation(stream: ClientHttp2Stream): void {
  const watched: Watched = stream;
  watched[END] = undefined;
  watched.push = push;
}

/**
 * Whether a stream was closed or reset, with or without an error, before its END_STREAM. Node ends it like a complete one; the
 * difference shows only in that it is closed before its end is known, not after.
 */
export function isTruncated(stream: ClientHttp2Stream): boolean {
  const watched: Watched = stream;
  return watched[END] === 'cut';
}
