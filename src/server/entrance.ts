import { STATUS_CODES } from 'node:http';
import type { FailureCode } from '../failure.ts';
import { bugFacts } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { Exchange, Handler, Reply } from './exchange.ts';
import type { Fault } from './framing.ts';

export interface EntranceNeeds {
  readonly handler: Handler;
  readonly log: Log;
  /** Told of every request that is turned away before the handler sees it. */
  readonly onRefused?: (code: FailureCode) => void;
}

/** The one door from the protocols to the handler. */
export interface Entrance {
  /**
   * Hands a request to the handler. Whatever the handler throws is answered with a bare 500, or by cutting the answer
   * short when it has begun.
   *
   * @returns resolved when the handler is done with it, never rejected; undefined when it is done already
   */
  pass(exchange: Exchange): Promise<void> | undefined;
  /** Turns a request away. */
  refuse(exchange: Exchange, fault: Fault): void;
}

export function createEntrance(needs: EntranceNeeds): Entrance {
  const crash = (exchange: Exchange, cause: unknown) => {
    needs.log.error('request.crashed', { id: exchange.id, ...bugFacts(cause) });
    if (!endBegun(exchange)) exchange.send(failureReply(exchange, { status: 500 }));
  };
  return {
    pass: (exchange) => {
      try {
        return needs.handler(exchange)?.catch((cause: unknown) => crash(exchange, cause));
      } catch (cause) {
        crash(exchange, cause);
        return undefined;
      }
    },
    refuse: (exchange, fault) => {
      const { peer, version } = exchange.head;
      needs.log.info('request.refused', {
        id: exchange.id,
        code: fault.code,
        status: fault.status,
        peer,
        version,
      });
      needs.onRefused?.(fault.code);
      exchange.send(failureReply(exchange, fault));
    },
  };
}

/** Cuts an answer short that has begun, so that nobody takes what arrived of it for the whole. */
function endBegun({ wire }: Exchange): boolean {
  switch (wire.kind) {
    case 'http1':
      if (!wire.response.headersSent) return false;
      wire.response.destroy();
      return true;
    case 'http2':
      if (!wire.stream.headersSent) return false;
      // An answer that is complete stays complete.
      if (!wire.stream.writableEnded) wire.stream.close(http2InternalError);
      return true;
    case 'upgrade':
      // Nobody can tell how much was written: never a second head.
      wire.socket.destroy();
      return true;
  }
}

/** RFC 9113 §7, INTERNAL_ERROR. */
const http2InternalError = 2;

/** The words of Connect's error codes, as in every other JSON answer. */
const rpcCodes = {
  400: 'invalid_argument',
  405: 'unimplemented',
  417: 'invalid_argument',
  431: 'invalid_argument',
  500: 'internal',
  501: 'unimplemented',
  505: 'unimplemented',
} as const;

function failureReply(exchange: Exchange, fault: { readonly status: keyof typeof rpcCodes }): Reply {
  const body = { code: rpcCodes[fault.status], message: STATUS_CODES[fault.status] ?? '', reference: exchange.id };
  return {
    status: fault.status,
    fields: ['Content-Type', 'application/json', 'Cache-Control', 'no-store'],
    body: JSON.stringify(body),
  };
}
