import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';
import { UpstreamError } from './upstream-failure.ts';

/**
 * gRPC servers count a PING as abuse that comes within five minutes of the one before, unless they sent headers or data in
 * between, and hang up at the third (grpc-go: `handlePing`).
 */
const SAME_SILENCE_MS = 310_000;

export interface Liveness {
  /** Silence after which a sign of life is asked for. */
  readonly pingIntervalMs: Millis;
  /** How long it may take. */
  readonly pingTimeoutMs: Millis;
  readonly now: () => Millis;
}

/**
 * Ends a session whose peer is gone without a word, so that each stream on it can say so: a silent peer is asked by PING
 * (RFC 9113 §6.7) while streams are open. Found within one and a half intervals and the timeout.
 */
export function watchLiveness(
  session: ClientHttp2Session,
  socket: Socket,
  needs: Liveness & { readonly isBusy: () => boolean },
): void {
  const { pingIntervalMs, pingTimeoutMs, now } = needs;
  let read = -1;
  let heardAt = now();
  let askedAt: Millis | undefined;
  let deadline: NodeJS.Timeout | undefined;

  const heard = () => {
    clearTimeout(deadline);
    deadline = undefined;
    read = socket.bytesRead;
    heardAt = now();
  };
  const giveUp = () => {
    // What came while this process was busy is read first; whatever it is, it is a sign of life.
    setImmediate(() => {
      if (deadline === undefined || session.destroyed) return;
      if (socket.bytesRead !== read) {
        heard();
        return;
      }
      session.destroy(new UpstreamError('upstream_timeout', `no sign of life within ${pingTimeoutMs} ms`));
      // It would wait for what is still to be written, and nobody takes that any more.
      socket.destroy();
    });
  };
  const ask = () => {
    askedAt = now();
    deadline = setTimeout(giveUp, pingTimeoutMs);
    session.ping((error) => {
      if (error === null) heard();
    });
  };
  const look = () => {
    if (socket.bytesRead !== read) {
      heard();
      askedAt = undefined;
      return;
    }
    if (!needs.isBusy() || deadline !== undefined || now() - heardAt < pingIntervalMs) return;
    if (askedAt === undefined || now() - askedAt >= SAME_SILENCE_MS) ask();
  };
  const timer = setInterval(look, pingIntervalMs / 2);
  timer.unref();
  session.once('close', () => {
    clearInterval(timer);
    clearTimeout(deadline);
  });
}
