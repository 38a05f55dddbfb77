import { type ContextValues, createContextValues } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import type { Reply } from '../server/exchange.ts';
import type { RequestHead } from '../server/request-head.ts';

/** A unary call, read whole. */
export interface Call {
  readonly head: RequestHead;
  readonly body: Uint8Array;
  /** Reference of the request, for errors in JSON. */
  readonly id: string;
}

export interface AnsweredCall {
  readonly reply: Reply;
  /** Whether that is the code `internal`, however its protocol says it. */
  readonly isInternal: boolean;
}

/**
 * Lets a method answer in the protocol it is called by: gRPC, gRPC-Web in binary or text, Connect by POST or GET.
 * What is wrong with the call itself is answered, too.
 *
 * @param values what the method is told besides the message
 */
export async function answerCall(handler: UniversalHandler, call: Call, values?: ContextValues): Promise<AnsweredCall> {
  const { head } = call;
  const type = head.fields.get('content-type');
  const isText = type !== undefined && textType.test(type);
  const header = protocolHeader(head);
  if (isText) header.set('content-type', type.replace(textType, 'application/grpc-web'));
  const body = isText ? decodeText(call.body) : call.body;
  const response = await handler({
    httpVersion: head.version,
    method: head.method,
    // Only the query is read of it.
    url: new URL(head.target, 'http://gateway.invalid').href,
    header,
    body: once(body),
    signal: neverAborted,
    contextValues: values ?? createContextValues(),
  });
  const bytes = await collect(response);
  const reply: Reply = {
    status: response.status,
    fields: [...fieldsOf(response.header, isText ? type : undefined), ...OWN_FIELDS, 'X-Request-ID', call.id],
    body: isText ? bytes.toString('base64') : withReference(response, bytes, call.id),
    ...(response.trailer && { trailers: fieldsOf(response.trailer) }),
  };
  return { reply, isInternal: isInternal(response, bytes) };
}

/** Connect's HTTP status, gRPC's in the trailers or (alone) in the header, gRPC-Web's in a frame or the header. */
function isInternal({ status, header, trailer }: UniversalServerResponse, bytes: Buffer): boolean {
  const said =
    trailer?.get('grpc-status') ?? header?.get('grpc-status') ?? webStatus.exec(bytes.toString('latin1'))?.[1];
  return status === 500 || said === '13';
}

/** In a trailer frame without messages before it, as an error has it. */
const webStatus = /^\x80.{4}(?:.*\r\n)?grpc-status: ?(\d+)/s;

const textType = /^application\/grpc-web-text/i;
const neverAborted = new AbortController().signal;
const OWN_FIELDS = ['Cache-Control', 'no-store', 'Referrer-Policy', 'no-referrer'];

/**
 * Fields that belong to the protocols: nobody in there has any business with cookies and tokens. The caller's deadline is the
 * caller's to keep: a timer for one of over 24 days would fire at once, with a warning on standard error.
 */
function protocolHeader({ fields }: RequestHead): Headers {
  const header = new Headers();
  for (let i = 0; i < fields.raw.length; i += 2) {
    const name = (fields.raw[i] ?? '').toLowerCase();
    const value = fields.raw[i + 1] ?? '';
    if (protocolField.test(name) && !deadline.test(name) && printable.test(value)) header.append(name, value);
  }
  return header;
}

const protocolField = /^(content-(type|encoding)|accept-encoding|(connect|grpc)-[a-z-]+)$/;
const deadline = /^(connect-timeout-ms|grpc-timeout)$/;
const printable = /^[\x20-\x7e]*$/;

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  if (body.length > 0) yield body;
}

/** Base64, possibly in several padded pieces (gRPC-Web, "Content-Type"). */
function decodeText(body: Uint8Array): Uint8Array {
  const pieces =
    Buffer.from(body)
      .toString('latin1')
      .match(/[^=]+=*/g) ?? [];
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')));
}

async function collect({ body }: UniversalServerResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** @param type the content type to say instead of the one in the header */
function fieldsOf(header: Headers | undefined, type?: string): string[] {
  const fields: string[] = [];
  for (const [name, value] of header ?? []) {
    // `send` counts for itself.
    if (name === 'content-length') continue;
    fields.push(name, name === 'content-type' && type !== undefined ? type : value);
  }
  return fields;
}

/** Errors have one shape wherever JSON is spoken: with the reference that stands in the log. */
function withReference({ status, header }: UniversalServerResponse, bytes: Buffer, id: string): Uint8Array {
  if (status < 400 || header?.get('content-type') !== 'application/json' || header.has('content-encoding'))
    return bytes;
  const error: unknown = JSON.parse(bytes.toString());
  return typeof error === 'object' ? Buffer.from(JSON.stringify({ ...error, reference: id })) : bytes;
}
