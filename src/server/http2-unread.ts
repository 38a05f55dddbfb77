import type { Http2Stream } from 'node:http2';

/**
 * Drops what nobody will read of a stream that is closed. Node keeps such a stream, and whoever waits for its end, until
 * all that came was read, unless it was closed with an error: one that is paused, for ever. Does nothing to a stream that
 * is open.
 */
export function dropUnread(stream: Http2Stream): void {
  if (stream.closed && !stream.destroyed) stream.resume();
}

/** Closes a stream that is of no use any more, also one that ended long ago and waits here, paused, for a slow reader. */
export function letGo(stream: Http2Stream, code: number): void {
  stream.close(code);
  dropUnread(stream);
}
