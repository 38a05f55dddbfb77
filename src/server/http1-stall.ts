import type { ServerResponse } from 'node:http';

/**
 * Whether a request waits for its caller: for the rest of a body that nobody holds back, or for room to write the answer.
 * One that waits for us, or for an upstream, does not. Asked when nothing has moved on the connection for as long as a body
 * may stand still.
 *
 * Once an answer has begun, the body is half of a conversation, and may pause.
 */
export function isStalled(response: ServerResponse): boolean {
  const { req: request } = response;
  const isBodyMissing =
    !request.complete && !response.headersSent && request.readableLength < request.readableHighWaterMark;
  return isBodyMissing || request.socket.writableLength > 0;
}
