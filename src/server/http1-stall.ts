import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Closes the connection of a request that waits for its caller: for the rest of a body that nobody holds back, or for room
 * to write the answer. One that waits for us, or for an upstream, goes on. Called when nothing has moved on the
 * connection for as long as a body may stand still.
 *
 * Once an answer has begun, the body is half of a conversation, and may pause.
 */
export function closeWhenStalled(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const isBodyMissing =
    !request.complete && !response.headersSent && request.readableLength < request.readableHighWaterMark;
  if (isBodyMissing || socket.writableLength > 0) socket.destroy();
}
