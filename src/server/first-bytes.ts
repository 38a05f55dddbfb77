import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';

/** What a client without TLS must send first to speak HTTP/2 by prior knowledge (RFC 9113 §3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * Waits for the first bytes of a connection and tells whether they open HTTP/2; they stay in the socket for whoever reads
 * next. Closes a connection that stays silent, ends, or leaves the preface unfinished.
 *
 * @param wait.firstByteMs time for the first byte
 * @param wait.headersMs   from then on, time to tell HTTP/2 from HTTP/1.1
 * @param decided called once, synchronously when the bytes arrive, with the socket paused
 */
export function readFirstBytes(
  socket: Socket,
  wait: { readonly firstByteMs: Millis; readonly headersMs: Millis },
  decided: (isHttp2: boolean) => void,
): void {
  let seen: Buffer | undefined;
  const close = () => socket.destroy();
  let deadline = setTimeout(close, wait.firstByteMs);
  const done = () => {
    clearTimeout(deadline);
    socket.off('data', onData).off('end', close).off('close', done);
  };
  const onData = (chunk: Buffer) => {
    if (!seen) {
      clearTimeout(deadline);
      deadline = setTimeout(close, wait.headersMs);
    }
    seen = seen ? Buffer.concat([seen, chunk]) : chunk;
    const isPreface =
      seen.compare(preface, 0, Math.min(seen.length, preface.length), 0, Math.min(seen.length, preface.length)) === 0;
    if (isPreface && seen.length < preface.length) return;
    done();
    socket.pause();
    socket.unshift(seen);
    decided(isPreface);
  };
  socket.on('data', onData).on('end', close).on('close', done);
}
