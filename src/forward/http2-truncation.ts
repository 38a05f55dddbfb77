import type { ClientHttp2Stream } from 'node:http2';

/**
 * Notices a stream that was reset without error before its END_STREAM. Node ends it like a complete one; the difference
 * shows only in that the stream is closed before its end is known, not after. Only the first end counts: Node says it
 * again when it closes the stream, on a busy session before anybody has heard of the first.
 */
export function watchTruncation(stream: ClientHttp2Stream, onTruncated: () => void): void {
  const push = stream.push.bind(stream);
  let isEndKnown = false;
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !isEndKnown) {
      isEndKnown = true;
      if (stream.closed) onTruncated();
    }
    return push(chunk, encoding);
  };
}
