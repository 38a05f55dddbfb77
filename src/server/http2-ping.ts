import type { Http2Session } from 'node:http2';
import type { Millis } from '../config/units.ts';

/** How a peer is watched. */
export interface PeerWatch {
  readonly intervalMs: Millis;
  readonly timeoutMs: Millis;
  /** Whether anything depends on the peer: an idle connection is left to its idle limit, which answered pings would defeat. */
  readonly isNeeded: () => boolean;
  /** Told of a peer that was given up. */
  readonly onLost: () => void;
}

/**
 * Asks a peer regularly whether it is still there (PING, RFC 9113 §6.7), and ends the session when it is not: when nothing
 * at all came for `timeoutMs` after the question. Whoever answers, or sends anything else, may stay for ever: a slow reader's
 * answer can be long on its way behind what it has not read.
 */
export function watchPeer(session: Http2Session, watch: PeerWatch): void {
  let deadline: NodeJS.Timeout | undefined;
  const answered = () => {
    clearTimeout(deadline);
    deadline = undefined;
  };
  const awaitAnswer = (heardBytes: number) => {
    const judge = () => {
      if (session.destroyed || deadline === undefined) return;
      const { bytesRead } = session.socket;
      if (bytesRead !== heardBytes) {
        awaitAnswer(bytesRead);
        return;
      }
      watch.onLost();
      session.destroy();
    };
    // After a turn of the event loop: when it was held up, what came meanwhile is still to be read.
    deadline = setTimeout(() => setImmediate(judge), watch.timeoutMs);
    deadline.unref();
  };
  const ask = () => {
    if (session.destroyed || deadline !== undefined || !watch.isNeeded()) return;
    // Refused when too many are under way already, which one at a time never are.
    if (session.ping(answered)) awaitAnswer(session.socket.bytesRead);
  };
  const timer = setInterval(ask, watch.intervalMs);
  timer.unref();
  session.once('close', () => {
    clearInterval(timer);
    answered();
  });
}
