import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { isClosing, linger } from './linger.ts';

/**
 * Answers what the parser could not read, or gave up waiting for, and closes the connection.
 *
 * @param isBegun whether a request of this connection is being answered, or was before its end: the caller would take our
 * answer for a part of that, or for the next
 */
export function answerBrokenRequest(cause: Error, socket: Socket, isBegun: boolean): void {
  // More of the same, after our last word or what will be our last.
  if (isClosing(socket) || codeOf(cause) === 'HPE_CLOSED_CONNECTION') return;
  if (isBegun || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = statusOf(cause);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  linger(socket);
}

function statusOf(cause: Error): number {
  switch (codeOf(cause)) {
    case 'HPE_HEADER_OVERFLOW':
      return 431;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408;
    default:
      return 400;
  }
}

function codeOf(cause: Error): unknown {
  return 'code' in cause ? cause.code : undefined;
}
