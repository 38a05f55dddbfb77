import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Pieces as small as the buffers between two processes: larger ones would be held whole on the way. */
const PIECE = 65_536;

/** Writes everything, no faster than it is taken, and ends the stream. Ends early when the stream is destroyed. */
export async function pump(to: Writable, parts: readonly Uint8Array[]): Promise<void> {
  const closed = new AbortController();
  const close = () => closed.abort();
  to.once('close', close);
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; at += PIECE) {
        if (to.destroyed) return;
        if (!to.write(part.subarray(at, at + PIECE))) await once(to, 'drain', { signal: closed.signal });
      }
    }
    to.end();
  } catch (cause) {
    if (!closed.signal.aborted) throw cause;
  } finally {
    to.off('close', close);
  }
}
