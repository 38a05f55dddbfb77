import type { Http2Session, Http2Stream } from 'node:http2';
import type { Millis } from '../config/units.ts';

/**
 * Looks at an HTTP/2 session or stream each time nothing has moved on it for so long, until it is destroyed. Node's own
 * `setTimeout` calls its listener once: whoever was right to be silent the first time would never be looked at again.
 */
export function onSilence(silent: Http2Session | Http2Stream, afterMs: Millis, look: () => void): void {
  silent.setTimeout(afterMs);
  silent.on('timeout', () => {
    look();
    // Nothing need move before it is time again.
    if (!silent.destroyed) silent.setTimeout(afterMs);
  });
}
