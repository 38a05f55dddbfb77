import { STATUS_CODES } from 'node:http';
import type { FailureCode } from '../failure.ts';
import { bugFacts } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import { attempt } from './contain.ts';
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
  /** Turns a request away. Never throws. */
  refuse(exchange: Exchange, fault: Fault): void;
}

export function createEntrance(needs: EntranceNeeds): Entrance {
  const crash = (exchange: Exchange, cause: unknown) => {
    attempt(() => needs.log.error('request.crashed', { id: exchange.id, ...bugFacts(cause) }));
    try {
      if (!isAnswerBegun(exchange)) exchange.send(failureReply(exchange, { status: 500 }));
      else cut(exchange);
    } catch (second) {
      attempt(() => cut(exchange));
      attempt(() => needs.log.error('request.crashed', { id: exchange.id, ...bugFacts(second) }));
    }
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
      try {
        refuse(needs, exchange, fault);
      } catch (cause) {
        crash(exchange, cause);
      }
    },
  };
}

function refuse(needs: EntranceNeeds, exchange: Exchange, fault: Fault): void {
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
}

function isAnswerBegun({ wire }: Exchange): boolean {
  if (wire.kind === 'http1') return wire.response.headersSent;
  if (wire.kind === 'http2') return wire.stream.headersSent;
  // Nobody can tell how much was written: never a second head.
  return true;
}

/** Cuts an answer short, so that nobody takes what arrived of it for the whole. One that is complete stays complete. */
function cut({ wire }: Exchange): void {
  if (wire.kind === 'upgrade') wire.socket.destroy();
  else if (wire.kind === 'http2') {
    if (!wire.stream.writableEnded) wire.stream.close(http2InternalError);
  } else if (!wire.response.writableEnded) {
    // The connection, not the response: one that waits for its turn would come to it, and never end.
    wire.request.socket.destroy();
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
    fields: ['Content-Type', 'application/json', 'Cache-Control', 'no-store', 'X-Request-ID', exchange.id],
    body: JSON.stringify(body),
  };
}
