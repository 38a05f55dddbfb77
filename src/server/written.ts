import type { ServerHttp2Stream } from 'node:http2';

const WRITTEN = Symbol('bytes written');

type Counted = ServerHttp2Stream & { [WRITTEN]?: number };

/** Counts bytes of an answer that are about to be written piece by piece. */
export function countWritten(stream: Counted, bytes: number): void {
  stream[WRITTEN] = (stream[WRITTEN] ?? 0) + bytes;
}

/**
 * How much of an answer was taken so far: in whole pieces, and from an arbitrary beginning where not all were counted. Of two
 * moments between which it is the same, nothing of what waited was taken.
 */
export function bytesTaken(stream: Counted): number {
  return (stream[WRITTEN] ?? 0) - stream.writableLength;
}
