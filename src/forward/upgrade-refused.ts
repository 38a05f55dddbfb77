import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';
import type { Contain } from '../server/contain.ts';
import { linger } from '../server/linger.ts';
import { isFinalStatus } from './downstream.ts';
import { Http1Downstream } from './downstream-http1.ts';
import type { Headers } from './headers.ts';
import type { Forwarded } from './plan.ts';
import type { Measure } from './upstream.ts';
import { UpstreamError } from './upstream-failure.ts';

interface Refusal {
  readonly answer: IncomingMessage;
  readonly request: IncomingMessage;
  readonly caller: Socket;
  readonly setCookie: string | undefined;
  /** Of the request, as in the log. */
  readonly reference: string;
}

/**
 * Passes on what an upstream answered to a handshake instead of 101: an ordinary answer, the last on this connection.
 * `failed` for one that cannot be said; the connection is then as it was.
 *
 * @param needs.stallMs how long the caller may take nothing of what waits for it
 */
export function passRefusal(
  { answer, request, caller, setCookie, reference }: Refusal,
  needs: { headers: Headers; measure: Measure; contain: Contain; stallMs: Millis },
): Promise<Forwarded> {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(caller);
  const downstream = new Http1Downstream(request, response);
  // A server would pass it on, but the connection has left Node's when it was to be upgraded.
  const onDrain = needs.contain(
    () => void response.emit('drain'),
    () => caller.destroy(),
  );
  return new Promise((resolve) => {
    try {
      downstream.start(headOf(answer, needs.headers, setCookie));
    } catch (cause) {
      // Nothing was written: the reply is still ours to make.
      response.detachSocket(caller);
      answer.destroy();
      needs.measure.failed();
      resolve({ kind: 'failed', code: 'upstream_broken', cause });
      return;
    }
    needs.measure.answered();
    caller.on('drain', onDrain);
    downstream.onClose((complete) => {
      resolve({ kind: 'answered', status: response.statusCode, bytes: downstream.bytes, complete });
      answer.destroy();
    });
    closeAfter(response, caller, needs.contain);
    endWhenStalled(caller, needs);
    pump(answer, downstream, { contain: needs.contain, reference });
  });
}

/** @throws {UpstreamError} `upstream_broken` for a status that no answer has */
function headOf(answer: IncomingMessage, headers: Headers, setCookie: string | undefined) {
  const status = answer.statusCode ?? 0;
  if (!isFinalStatus(status)) throw new UpstreamError('upstream_broken', `${status} is no status`);
  return {
    status,
    ...(answer.statusMessage && { reason: answer.statusMessage }),
    ...headers.answer(answer.rawHeaders, 'http1', setCookie),
    endStream: false,
  };
}

function closeAfter(response: ServerResponse, caller: Socket, contain: Contain): void {
  const finished = () => {
    response.detachSocket(caller);
    // All of it is with the network then, and the caller has a moment to take it and close.
    caller.end(() => linger(caller));
    // A server would say so; this response has none.
    response.emit('close');
  };
  response.once(
    'finish',
    contain(finished, () => caller.destroy()),
  );
}

/** A caller that takes nothing for so long would hold its upstream's connection for ever. */
function endWhenStalled(caller: Socket, { contain, stallMs }: { contain: Contain; stallMs: Millis }): void {
  const look = () => {
    if (caller.writableLength > 0) caller.destroy();
    // It waits for the upstream, which has limits of its own.
    else caller.setTimeout(stallMs);
  };
  caller.setTimeout(stallMs);
  caller.on(
    'timeout',
    contain(look, () => caller.destroy()),
  );
}

function pump(
  answer: IncomingMessage,
  downstream: Http1Downstream,
  { contain, reference }: { contain: Contain; reference: string },
): void {
  const breakOff = () => downstream.breakOff('upstream_lost', reference);
  const pass = (chunk: Buffer) => {
    if (downstream.write(chunk)) return;
    answer.pause();
    downstream.onDrain(() => answer.resume());
  };
  answer.on('data', contain(pass, breakOff));
  answer.on(
    'end',
    contain(() => downstream.end([]), breakOff),
  );
  answer.on('error', breakOff);
}
