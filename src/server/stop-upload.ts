import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Millis } from '../config/units.ts';
import { letGo } from './http2-unread.ts';

/** Between two looks at whether the end of the answer is out: at first, and at most. */
const FIRST_LOOK_MS: Millis = 5;
const LONGEST_MS: Millis = 1000;

/**
 * Tells a caller whose answer is complete that nobody reads what it still sends: RST_STREAM with NO_ERROR, after the end of
 * the answer (RFC 9113 §8.1). Does nothing when the caller ends its side, or the stream, before that.
 *
 * nghttp2 sends a reset before any frame of the stream that waits: it would overtake the trailers. That the last one is out
 * shows only in the stream's state, which no event tells of, so it is looked at: mostly once.
 */
export function stopUpload(stream: ServerHttp2Stream): void {
  let delay = FIRST_LOOK_MS;
  const look = () => {
    if (stream.destroyed || stream.readableEnded) return;
    if (stream.closed || stream.state.localClose === 1) {
      letGo(stream, constants.NGHTTP2_NO_ERROR);
      return;
    }
    setTimeout(look, delay).unref();
    delay = Math.min(2 * delay, LONGEST_MS);
  };
  if (stream.writableFinished) setImmediate(look);
  else stream.once('finish', () => setImmediate(look));
}
