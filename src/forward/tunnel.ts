import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Millis } from '../config/units.ts';

/** One side said goodbye: the other gets so long without a byte to do the same. */
const HALF_CLOSED_MS: Millis = 30_000;

/**
 * Joins two connections until both ended: bytes with back-pressure, a FIN as a FIN, a reset or a sudden death as a reset,
 * so that nobody takes a broken connection for one that was closed.
 *
 * @param ends.idleMs both are reset after so long without a byte either way; 0: never
 * @param onEnd called once: bytes towards the caller, and whether both sides ended regularly
 */
export function createTunnel(
  ends: { readonly caller: Duplex; readonly upstream: Socket; readonly idleMs: Millis },
  onEnd: (result: { bytes: number; complete: boolean }) => void,
): void {
  const { caller, upstream } = ends;
  let open = 2;
  let bytes = 0;
  let complete = true;

  upstream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const join = (from: Duplex, to: Duplex) => {
    let hasError = false;
    from.pipe(to);
    from.once('end', () => limitSilence(to));
    from.on('error', () => {
      hasError = true;
    });
    const closed = () => {
      // Closed by a reset, by an error, or by somebody here who ended it: the other side must not see a regular end.
      if (hasError || !from.readableEnded || !from.writableFinished) {
        if (!to.destroyed) complete = false;
        reset(to);
      }
      open -= 1;
      if (open === 0) onEnd({ bytes, complete });
    };
    // An end that was lost before they met says so no more.
    if (from.closed) closed();
    else from.once('close', closed);
  };
  // What moves on one of them moves on the other.
  if (ends.idleMs > 0) upstream.setTimeout(ends.idleMs, () => reset(upstream));
  join(caller, upstream);
  join(upstream, caller);
}

function limitSilence(side: Duplex): void {
  if (side instanceof Socket) side.setTimeout(HALF_CLOSED_MS, () => side.destroy());
}

/** Ends a connection so that the other side hears of it as broken: by RST where it is no TLS one. */
export function reset(side: Duplex): void {
  if (side.destroyed) return;
  if (side instanceof Socket && !('encrypted' in side)) side.resetAndDestroy();
  else side.destroy();
}
