import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';

/** Finds connections on which nothing moves: those get Node's own time limit, and no others. */
export interface SilenceWatch {
  /** Looks after a connection until it closes. */
  watch(socket: Socket): void;
  /** Leaves it to somebody else. */
  leave(socket: Socket): void;
  close(): void;
}

/**
 * One timer for all connections. Node's limits are set anew when a request begins and when its answer has ended, which costs more
 * than to decide about it.
 *
 * @param patienceOf how long nothing may move there as it is now. From then on, and no more than a quarter later, the socket
 *   emits `timeout`, each time that it was silent so long
 * @param lookEveryMs an eighth of the shortest patience, or less
 */
export function createSilenceWatch(patienceOf: (socket: Socket) => Millis, lookEveryMs: Millis): SilenceWatch {
  /** Bytes that had moved there when it was looked at last. */
  const seen = new Map<Socket, number>();
  const look = () => {
    for (const [socket, before] of seen) {
      const moved = socket.bytesRead + socket.bytesWritten;
      if (moved === before) {
        if (!socket.timeout) socket.setTimeout(patienceOf(socket));
        continue;
      }
      seen.set(socket, moved);
      if (socket.timeout) socket.setTimeout(0);
    }
  };
  const timer = setInterval(look, lookEveryMs);
  // Connections keep a process alive, not that they are looked at.
  timer.unref();
  const forget = (socket: Socket) => seen.delete(socket);
  return {
    watch: (socket) => {
      seen.set(socket, socket.bytesRead + socket.bytesWritten);
      socket.once('close', () => forget(socket));
    },
    leave: (socket) => {
      forget(socket);
      socket.setTimeout(0);
    },
    close: () => clearInterval(timer),
  };
}
