import type { Caller } from '../server/caller.ts';
import type { Reply } from '../server/exchange.ts';
import { failurePage } from './pages.ts';
import { errorJson, RETRY_AFTER_S, type Refusal, type RpcCode } from './refusal.ts';

/** gRPC's numbers (its `code.proto`). */
const grpcNumbers: Readonly<Record<RpcCode, number>> = {
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  permission_denied: 7,
  resource_exhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
};

/** Connect's HTTP statuses for unary errors (its protocol reference, "Error codes"). */
const connectStatuses: Readonly<Record<RpcCode, number>> = {
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  permission_denied: 403,
  resource_exhausted: 429,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  unauthenticated: 401,
};

/** What `answer` needs to know of the one who asked. */
export interface Asked {
  readonly caller: Caller;
  /** `Content-Type` of the request; answered with the same in gRPC-Web and Connect streaming. */
  readonly contentType: string | undefined;
  /** Reference of the request. */
  readonly id: string;
  /** Where a navigation signs in, with its return-to; only for those that should. */
  readonly signInAt?: string;
  /** Whole Set-Cookie value that makes a browser forget its session. */
  readonly clearSession: string;
}

/**
 * Says a refusal in the caller's tongue: a page or a redirect to sign in for a navigation, plain JSON for API clients,
 * and for each RPC protocol its own way to say no, since their clients read HTTP statuses as broken proxies.
 */
export function answer(refusal: Refusal, asked: Asked): Reply {
  const reply = inTongue(refusal, asked);
  const fields = [...reply.fields, 'Cache-Control', 'no-store', 'X-Request-ID', asked.id];
  if (refusal.clearCookie) fields.push('Set-Cookie', asked.clearSession);
  if (refusal.challenge && reply.status === refusal.status) fields.push('WWW-Authenticate', refusal.challenge);
  if (refusal.rpc === 'unavailable') fields.push('Retry-After', RETRY_AFTER_S);
  return { ...reply, fields };
}

function inTongue(refusal: Refusal, asked: Asked): Reply {
  switch (asked.caller) {
    case 'navigation':
      if (refusal.rpc === 'unauthenticated' && asked.signInAt) {
        return { status: 302, fields: ['Location', asked.signInAt, 'Referrer-Policy', 'no-referrer'] };
      }
      return failurePage({ status: refusal.status, code: refusal.code, id: asked.id });
    case 'api':
    case 'websocket':
      return {
        status: refusal.status,
        fields: ['Content-Type', 'application/json'],
        body: errorJson(refusal, asked.id),
      };
    case 'grpc':
      return { status: 200, fields: ['Content-Type', 'application/grpc', ...grpcStatus(refusal, asked.id)] };
    case 'grpc-web':
    case 'grpc-web-text':
      return grpcWeb(refusal, asked);
    case 'connect-unary':
      return {
        status: connectStatuses[refusal.rpc],
        fields: ['Content-Type', 'application/json'],
        body: errorJson(refusal, asked.id),
      };
    case 'connect-streaming':
      return {
        status: 200,
        fields: ['Content-Type', asked.contentType ?? 'application/connect+json'],
        body: envelope(0x02, `{"error":${errorJson(refusal, asked.id)}}`),
      };
  }
}

function grpcStatus(refusal: Refusal, id: string): string[] {
  return [
    'grpc-status',
    String(grpcNumbers[refusal.rpc]),
    'grpc-message',
    encodeMessage(`${refusal.message} (reference ${id})`),
  ];
}

function grpcWeb(refusal: Refusal, asked: Asked): Reply {
  const status = grpcStatus(refusal, asked.id);
  const trailers = `${status[0]}: ${status[1]}\r\n${status[2]}: ${status[3]}\r\n`;
  const frame = envelope(0x80, trailers);
  const body = asked.caller === 'grpc-web-text' ? Buffer.from(frame).toString('base64') : frame;
  return { status: 200, fields: ['Content-Type', asked.contentType ?? 'application/grpc-web', ...status], body };
}

/** One flag byte, the length in four, the payload: the frame that gRPC-Web and Connect share. */
function envelope(flags: number, payload: string): Uint8Array {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Percent-encodes all but printable ASCII, and `%` itself (gRPC over HTTP/2, "Status-Message"). */
function encodeMessage(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}
