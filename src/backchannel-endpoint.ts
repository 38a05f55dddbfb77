import { bare, documentFields, methodRefused } from './answer/plain-replies.ts';
import { createEnter } from './authenticate/enter.ts';
import { createFailedTries } from './authenticate/failed-tries.ts';
import type { Clock } from './config/units.ts';
import type { Endpoint } from './handle.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { SaidSignedOut } from './oidc/backchannel-logout.ts';
import type { Exchange, Reply } from './server/exchange.ts';
import { readSmallBody } from './server/small-body.ts';

export interface BackchannelNeeds {
  readonly backchannelLogout: (form: string) => Promise<SaidSignedOut>;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
}

/** A token with a few claims and a signature takes 2 KiB. */
const MAX_BODY_BYTES = 16_384;
const BODY_MS = 10_000;
/**
 * Bad tokens in a minute. The second bound is only there to keep verifying under a twentieth of a processor, and the first
 * is wide as well: were they low, strangers could use them up and keep a provider out that seems to have their address.
 */
const FAILURES = { address: 600, all: 60_000 };

/** `POST /backchannel-logout`: nobody is asked who they are, as the token in it says so. */
export function createBackchannelEndpoint(needs: BackchannelNeeds): Endpoint {
  const { log, metrics, now } = needs;
  const onFull = (by: string) => log.warn('backchannel.limit_reached', { by });
  const enter = createEnter({ tries: createFailedTries({ limits: FAILURES, now, onFull }), timeoutMs: BODY_MS });
  return async ({ exchange, client }) => {
    metrics.request('endpoint');
    if (exchange.head.method !== 'POST') return exchange.send(methodRefused(['POST'], exchange.id));
    const form = await readForm(exchange);
    if (typeof form !== 'string') {
      metrics.backchannelLogout('refused');
      return form && exchange.send(form);
    }
    const entered = await enter({ address: client.address });
    if (entered.kind !== 'go') {
      metrics.backchannelLogout('limited');
      return exchange.send(tooMany(exchange.id));
    }
    let said: SaidSignedOut | undefined;
    try {
      said = await needs.backchannelLogout(form);
    } finally {
      entered.end(outcomeOf(said));
    }
    if (said.kind === 'refused')
      log.info('backchannel.refused', { id: exchange.id, why: said.why, client: client.address });
    if (said.kind === 'unreachable') log.warn('backchannel.failed', { id: exchange.id, cause: said.cause });
    metrics.backchannelLogout(said.kind === 'unreachable' ? 'unavailable' : said.kind);
    exchange.send(replyOf(said, exchange.id));
  };
}

/** @returns undefined when nobody is left to answer */
async function readForm(exchange: Exchange): Promise<string | Reply | undefined> {
  const type = exchange.head.fields.get('content-type') ?? '';
  if (!/^application\/x-www-form-urlencoded(?:$|[\s;])/i.test(type))
    return badRequest('a form is expected', exchange.id);
  const body = await readSmallBody(exchange, { maxBytes: MAX_BODY_BYTES, timeoutMs: BODY_MS });
  switch (body.kind) {
    case 'whole':
      return Buffer.from(body.bytes).toString('latin1');
    case 'too-long':
      return bare(413);
    case 'too-late':
      return bare(408);
    case 'lost':
      return undefined;
  }
}

function outcomeOf(said: SaidSignedOut | undefined): 'succeeded' | 'failed' | 'unknown' {
  if (said?.kind === 'done') return 'succeeded';
  return said?.kind === 'refused' ? 'failed' : 'unknown';
}

function replyOf(said: SaidSignedOut, id: string): Reply {
  switch (said.kind) {
    case 'done':
      return bare(200);
    case 'refused':
      return badRequest(said.why, id);
    case 'unreachable':
      return { ...bare(503), fields: [...documentFields, 'Retry-After', '5', 'X-Request-ID', id] };
  }
}

/** The shape that providers read (Back-Channel Logout §2.8, RFC 6749 §5.2), and our reference. */
function badRequest(why: string, id: string): Reply {
  return {
    status: 400,
    fields: ['Content-Type', 'application/json', ...documentFields, 'X-Request-ID', id],
    body: JSON.stringify({ error: 'invalid_request', error_description: why, reference: id }),
  };
}

function tooMany(id: string): Reply {
  return { status: 429, fields: [...documentFields, 'Retry-After', '60', 'X-Request-ID', id] };
}
