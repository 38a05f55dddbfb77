import { pathFact } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics, RequestOutcome } from '../observe/metrics.ts';
import { type Caller, callerOf } from '../server/caller.ts';
import type { Exchange } from '../server/exchange.ts';
import { answer } from './answer.ts';
import type { Refusal } from './refusal.ts';

/** Says a refusal to the one who asked, writes its reference to the log and counts it. */
export type TurnAway = (
  exchange: Exchange,
  refusal: Refusal,
  more?: {
    readonly signInAt?: string;
    readonly cause?: unknown;
    readonly path?: string;
    /** What exactly was wrong, for the log. */
    readonly why?: string;
    /** The caller's address, where a trusted proxy told it. */
    readonly client?: string;
  },
) => void;

/** @param needs.clearSession whole Set-Cookie value that makes a browser forget its session */
export function createTurnAway(needs: { log: Log; metrics: Metrics; clearSession: string }): TurnAway {
  return (exchange, refusal, more = {}) => {
    const { fields, method } = exchange.head;
    const reply = answer(refusal, {
      caller: tongueFor(callerOf(exchange), more.path),
      contentType: fields.get('content-type'),
      id: exchange.id,
      clearSession: needs.clearSession,
      ...(more.signInAt !== undefined && { signInAt: more.signInAt }),
    });
    exchange.send(reply);
    needs.metrics.request(outcomeOf(refusal));
    const facts = {
      id: exchange.id,
      code: refusal.code,
      status: reply.status,
      method,
      ...(more.path !== undefined && { path: pathFact(more.path) }),
      ...(more.why !== undefined && { why: more.why }),
      client: more.client ?? exchange.head.peer,
    };
    // Could not tell and failing upstreams are the operator's business; the rest is the caller's.
    if (refusal.status >= 500)
      needs.log.warn('request.failed', more.cause === undefined ? facts : { ...facts, cause: more.cause });
    else needs.log.info('request.refused', facts);
  };
}

/**
 * RPC refusals are HTTP 200, and a proxy in front that asks whether to let someone in takes any 2xx for a yes. So they
 * are said only where an RPC can live, at `/service/method`; never at a path such as `/me`, on whatever host.
 */
function tongueFor(caller: Caller, path: string | undefined): Caller {
  const saysNoWith200 =
    caller === 'grpc' || caller === 'grpc-web' || caller === 'grpc-web-text' || caller === 'connect-streaming';
  return saysNoWith200 && (path === undefined || path.indexOf('/', 1) === -1) ? 'api' : caller;
}

function outcomeOf(refusal: Refusal): RequestOutcome {
  if (refusal.code.startsWith('upstream_')) return 'upstream_failed';
  switch (refusal.rpc) {
    case 'unauthenticated':
      return 'sign_in';
    case 'permission_denied':
      return 'denied';
    case 'not_found':
      return 'not_found';
    case 'unavailable':
      return 'unavailable';
    default:
      return 'refused';
  }
}
