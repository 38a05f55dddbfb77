import { constants } from 'node:http2';
import type { Millis } from '../config/units.ts';
import { callerOf } from './caller.ts';
import type { Http2Exchange } from './exchange-http2.ts';
import { onSilence } from './on-silence.ts';

/**
 * Resets a stream that waits for its caller: for the rest of a body that nobody holds back, or for room to write the
 * answer. One that waits for us, or for an upstream, goes on; so does a body whose answer has begun, and that of an RPC
 * stream, which may pause from the start.
 *
 * @param idleMs how long such a wait may last
 */
export function resetWhenStalled(exchange: Http2Exchange, idleMs: Millis): void {
  const { stream } = exchange.wire;
  const mayPause = streaming.has(callerOf(exchange));
  onSilence(stream, idleMs, () => {
    // Asked of nghttp2: an end that nobody reads, for the request has no body, is never told.
    const isBodyMissing =
      !stream.headersSent && stream.state.remoteClose !== 1 && stream.readableLength < stream.readableHighWaterMark;
    if ((isBodyMissing && !mayPause) || stream.writableLength > 0) stream.close(constants.NGHTTP2_CANCEL);
  });
}

const streaming: ReadonlySet<string> = new Set(['grpc', 'connect-streaming']);
