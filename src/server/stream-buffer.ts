/** One part for each buffer that a body passes on its way through us, which are three at most, and one for the pieces in hand. */
const PARTS = 4;

/**
 * What Node may keep of a connection in each of its buffers (`highWaterMark`), so that together they stay about
 * `streamWindow`: where the protocol has no window, buffers are all that bounds a stream. Node reads in pieces of up to
 * 64 KiB and stops when a buffer is full, so each may hold one such piece more.
 *
 * @param streamWindow bytes, as in the settings
 */
export function streamBuffer(streamWindow: number): number {
  return Math.floor(streamWindow / PARTS);
}
