import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';

/** How long a caller may go on sending after the last reply was written. */
const lingerMs: Millis = 1000;

/**
 * Requests that may come after the last reply. Node keeps each until the connection has closed, and then takes them up one by
 * one, at a cost that grows with their number (measured: 150,000 of them, 4 MB, took 150 MB and many seconds of every caller's
 * time).
 */
const maxIgnored = 100;

/** With how many requests that came too late. */
const closing = new WeakMap<Socket, number>();

/**
 * Makes a connection close so that its last reply arrives: closing while the caller still sends would make TCP reset the
 * connection and throw the reply away. We say that we are done, go on discarding for at most a second, then close.
 * From now on `isClosing`.
 */
export function lingerAfterReply(socket: Socket): void {
  beginClosing(socket);
  // Node ends a connection after its last reply with this method.
  socket.destroySoon = () => linger(socket);
}

/** Says that nothing more will be written and closes the connection within a second. */
export function linger(socket: Socket): void {
  beginClosing(socket);
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  deadline.unref();
  socket.once('close', () => clearTimeout(deadline));
  socket.end();
}

/** Whether the last reply of a connection is written, or about to be: what still arrives is not looked at. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/** Passes a request by that came after the last reply; so many that nobody means them end the connection at once. */
export function ignoreLate(socket: Socket): void {
  const late = (closing.get(socket) ?? 0) + 1;
  closing.set(socket, late);
  if (late > maxIgnored) socket.destroy();
}

function beginClosing(socket: Socket): void {
  if (!closing.has(socket)) closing.set(socket, 0);
}
