import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Millis } from '../config/units.ts';
import { callerOf } from './caller.ts';
import type { Http2Exchange } from './exchange-http2.ts';
import { dropUnread } from './http2-unread.ts';
import { onSilence } from './on-silence.ts';
import { createWaiting } from './waiting.ts';
import { bytesTaken } from './written.ts';

/**
 * Looks after the streams of one port as `resetWhenStalled` does, but those only that live a while: most are over before a
 * timer of their own would have been worth its making.
 */
export interface StallWatch {
  /** @returns what ends it, to be called when the stream is over */
  begin(exchange: Http2Exchange): () => void;
  close(): void;
}

/** @param idleMs how long a wait may last at least; a third longer at most, thrice so long where the connection is busy else */
export function createStallWatch(idleMs: Millis): StallWatch {
  const young = createWaiting({
    max: Number.POSITIVE_INFINITY,
    patienceMs: idleMs / 4,
    now: () => performance.now(),
  });
  return {
    begin: (exchange) => {
      const grown = { giveUp: () => resetWhenStalled(exchange, idleMs) };
      const ticket = young.enter(grown);
      return () => ticket !== undefined && young.leave(ticket, grown);
    },
    close: young.close,
  };
}

/**
 * Resets a stream that waits for its caller: for the rest of a body that nobody holds back, or for room to write the
 * answer. One that waits for us, or for an upstream, goes on; so does a body whose answer has begun, and that of an RPC
 * stream, which may pause from the start.
 *
 * @param idleMs how long such a wait may last; for room to write up to twice so long, on a connection that is busy else
 */
export function resetWhenStalled(exchange: Http2Exchange, idleMs: Millis): void {
  const { stream } = exchange.wire;
  // It is over for its caller, and no event will tell of that again.
  if (stream.closed) return;
  const mayPause = streaming.has(callerOf(exchange));
  onSilence(stream, idleMs, () => {
    // Asked of nghttp2: an end that nobody reads, for the request has no body, is never told.
    const isBodyMissing =
      !stream.headersSent && stream.state.remoteClose !== 1 && stream.readableLength < stream.readableHighWaterMark;
    if ((isBodyMissing && !mayPause) || stream.writableLength > 0) stream.close(constants.NGHTTP2_CANCEL);
  });
  resetWhenNothingIsTaken(stream, idleMs);
}

// Node takes a stream that waits for room for busy as long as anything else goes out on its connection: pings, say.
function resetWhenNothingIsTaken(stream: ServerHttp2Stream, idleMs: Millis): void {
  let before: number | undefined;
  const look = () => {
    dropUnread(stream);
    const taken = stream.writableLength > 0 ? bytesTaken(stream) : undefined;
    if (taken !== undefined && taken === before) stream.close(constants.NGHTTP2_CANCEL);
    before = taken;
  };
  const timer = setInterval(look, idleMs);
  timer.unref();
  stream.once('close', () => clearInterval(timer));
}

const streaming: ReadonlySet<string> = new Set(['grpc', 'connect-streaming']);
