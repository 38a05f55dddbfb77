import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import {
  type EchoRequest,
  type EchoResponse,
  EchoResponseSchema,
  EchoService,
} from './gen/flytegate/demo/v1/echo_pb.ts';
import { identitySeen } from './identity-seen.ts';

const MAX_ANSWERS = 1000;
const MAX_INTERVAL_MS = 60_000;
const MAX_JOINED_CHARACTERS = 1_000_000;

/** Path prefix of the service's methods. */
export const echoPath = `/${EchoService.typeName}/`;

/**
 * The echo service in gRPC, gRPC-Web and Connect. Every answer carries the header `echo-header` and the trailer
 * `echo-trailer`, and in each message what the service saw of who is asking.
 */
export function addEcho(router: ConnectRouter): void {
  router.service(EchoService, {
    unary: (request, context) => {
      mark(context);
      failIfAsked(request);
      return answer(context, request.text, 1);
    },
    async *serverStream(request, context) {
      mark(context);
      const count = Math.min(Math.max(request.count, 1), MAX_ANSWERS);
      for (let number = 1; number <= count; number++) {
        yield answer(context, request.text, number);
        if (request.intervalMs > 0 && number < count) await pause(request.intervalMs, context.signal);
      }
      failIfAsked(request);
    },
    async clientStream(requests, context) {
      mark(context);
      const texts: string[] = [];
      let characters = 0;
      for await (const request of requests) {
        failIfAsked(request);
        characters += request.text.length;
        if (characters > MAX_JOINED_CHARACTERS) throw new ConnectError('too much to join', Code.ResourceExhausted);
        texts.push(request.text);
      }
      return answer(context, texts.join(' '), texts.length);
    },
    async *bidiStream(requests, context) {
      mark(context);
      let number = 0;
      for await (const request of requests) {
        number += 1;
        yield answer(context, request.text, number);
        failIfAsked(request);
      }
    },
  });
}

function mark(context: HandlerContext): void {
  context.responseHeader.set('echo-header', 'seen');
  context.responseTrailer.set('echo-trailer', 'seen');
}

function answer(context: HandlerContext, text: string, number: number): EchoResponse {
  const headers = Object.fromEntries(context.requestHeader);
  const hasBearer = ['authorization', 'flyte-authorization'].some((name) => /^bearer /i.test(headers[name] ?? ''));
  return create(EchoResponseSchema, { text, number, identity: identitySeen(headers), hasBearer });
}

function failIfAsked({ failWith, text }: EchoRequest): void {
  // Codes of Connect and gRPC are the same numbers; what is none of them is the caller's mistake.
  if (failWith > Code.Unauthenticated) throw new ConnectError(`${failWith} is no status code`, Code.InvalidArgument);
  if (failWith > 0) throw new ConnectError(`failed as asked: ${text}`, failWith);
}

async function pause(intervalMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.min(intervalMs, MAX_INTERVAL_MS), undefined, { signal });
  } catch (cause) {
    // Only the caller's leaving ends a pause early.
    throw new ConnectError('the caller went away', Code.Canceled, undefined, undefined, cause);
  }
}
