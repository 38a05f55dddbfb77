import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';

/** How long a caller may go on sending after the last reply was written. */
const lingerMs: Millis = 1000;

const closing = new WeakSet<Socket>();

/**
 * Makes a connection close so that its last reply arrives: closing while the caller still sends would make TCP reset the
 * connection and throw the reply away. We say that we are done, go on discarding for at most a second, then close.
 * From now on `isClosing`.
 */
export function lingerAfterReply(socket: Socket): void {
  closing.add(socket);
  // Node ends a connection after its last reply with this method.
  socket.destroySoon = () => linger(socket);
}

/** Says that nothing more will be written and closes the connection within a second. */
export function linger(socket: Socket): void {
  closing.add(socket);
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  deadline.unref();
  socket.once('close', () => clearTimeout(deadline));
  socket.end();
}

/** Whether the last reply of a connection is written, or about to be: what still arrives is not looked at. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}
