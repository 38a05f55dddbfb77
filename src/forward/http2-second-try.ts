import { constants } from 'node:http2';
import { saysNothingOfThem } from './upstream-failure.ts';

/**
 * A request goes out once more when nothing of it was processed: its connection never stood, or it was refused or came
 * after the last one that GOAWAY counts, which both say REFUSED_STREAM (RFC 9113 §8.7) – and a safe one also when its
 * connection was lost.
 */
export function mayTryAgain(ended: {
  readonly rstCode: number;
  readonly session: { readonly isConnected: boolean; readonly isLost: boolean };
  readonly cause: Error;
  readonly isSafe: boolean;
}): boolean {
  const { rstCode, session, cause, isSafe } = ended;
  if (saysNothingOfThem(cause)) return false;
  const isUnprocessed = rstCode === constants.NGHTTP2_REFUSED_STREAM || !session.isConnected;
  return isUnprocessed || (session.isLost && isSafe);
}
