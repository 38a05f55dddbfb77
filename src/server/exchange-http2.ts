import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Exchange, Reply, Wire } from './exchange.ts';
import { type Framing, readFraming } from './framing.ts';
import { Referenced } from './reference.ts';
import { Fields, type RequestHead } from './request-head.ts';
import { stopUpload } from './stop-upload.ts';
import { assertWritable } from './writable-field.ts';

/** One HTTP/2 request. */
export class Http2Exchange extends Referenced implements Exchange {
  readonly head: RequestHead;
  readonly wire: Extract<Wire, { kind: 'http2' }>;

  constructor(
    wire: { readonly stream: ServerHttp2Stream; readonly headers: IncomingHttpHeaders },
    head: RequestHead,
    newReference: () => string,
  ) {
    super(newReference);
    this.wire = { kind: 'http2', stream: wire.stream, headers: wire.headers };
    this.head = head;
  }

  get connection(): object {
    return this.wire.stream.session ?? this.wire.stream;
  }

  // A reset closes a stream at once; one with bytes that nobody read yet is destroyed much later, or never.
  get isGone(): boolean {
    const { stream } = this.wire;
    return stream.destroyed || stream.closed;
  }

  send(reply: Reply): void {
    const { stream } = this.wire;
    if (this.isGone || stream.headersSent) return;
    // Node joins names and values with NUL bytes before it hands them on, so it would not notice one inside a value.
    assertWritable(reply.fields);
    const { body = '', trailers = [] } = reply;
    assertWritable(trailers);
    const fields = [':status', String(reply.status), ...reply.fields];
    const waitForTrailers = trailers.length > 0;
    const mayHaveBody = reply.status !== 204 && reply.status !== 304;
    if (mayHaveBody && !waitForTrailers) fields.push('content-length', String(Buffer.byteLength(body)));
    const isBodiless = !waitForTrailers && (body.length === 0 || this.head.method === 'HEAD' || !mayHaveBody);
    if (waitForTrailers) stream.once('wantTrailers', () => this.#sendTrailers(trailers));
    stream.respond(fields, { endStream: isBodiless, waitForTrailers });
    if (!isBodiless) stream.end(typeof body === 'string' ? body : Buffer.from(body));
    // Node cancels the rest of a body by itself only when nobody has read of it.
    if (!stream.endAfterHeaders && !stream.readableEnded) stopUpload(stream);
  }

  #sendTrailers(trailers: readonly string[]): void {
    const { stream } = this.wire;
    if (stream.destroyed || stream.closed) return;
    try {
      stream.sendTrailers(grouped(trailers));
    } catch {
      // Thrown from an event it would end the process. The caller learns that the answer is not complete.
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }
}

/** Node takes trailers as an object only. */
function grouped(trailers: readonly string[]): OutgoingHttpHeaders {
  const result: Record<string, string[]> = Object.create(null);
  for (let i = 0; i < trailers.length; i += 2) {
    const name = (trailers[i] ?? '').toLowerCase();
    result[name] = [...(result[name] ?? []), trailers[i + 1] ?? ''];
  }
  return result;
}

/** What arrived, from the flat list of fields as they came in: pseudo-header fields first (RFC 9113 §8.3). */
export function headOfStream(
  raw: readonly string[],
  connection: { readonly encrypted: boolean; readonly peer: string },
): { readonly head: RequestHead; readonly framing: Framing } {
  let method = '';
  let target = '';
  let authority: string | undefined;
  let at = 0;
  for (; raw[at]?.startsWith(':'); at += 2) {
    const value = raw[at + 1] ?? '';
    if (raw[at] === ':method') method = value;
    else if (raw[at] === ':path') target = value;
    else if (raw[at] === ':authority') authority = value;
  }
  const fields = raw.slice(at);
  const framing = readFraming(fields);
  const head = {
    method,
    target,
    authority: authority ?? framing.host,
    version: '2',
    ...connection,
    fields: new Fields(fields),
  } as const;
  return { head, framing };
}
