import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exchange, Reply, Wire } from './exchange.ts';
import { type Framing, hasBody } from './framing.ts';
import { lingerAfterReply } from './linger.ts';
import { Referenced } from './reference.ts';
import { Fields, type RequestHead } from './request-head.ts';

/** An unread body of at most so many bytes is discarded to save the connection. */
const discardableBytes = 16_384;

/** One HTTP/1.1 request. */
export class Http1Exchange extends Referenced implements Exchange {
  readonly head: RequestHead;
  readonly wire: Extract<Wire, { kind: 'http1' }>;
  readonly #framing: Framing;

  constructor(
    wire: { readonly request: IncomingMessage; readonly response: ServerResponse },
    framing: Framing,
    connection: { readonly encrypted: boolean; readonly newReference: () => string },
  ) {
    super(connection.newReference);
    this.wire = { kind: 'http1', request: wire.request, response: wire.response };
    this.head = headOf(wire.request, framing, connection.encrypted);
    this.#framing = framing;
  }

  send(reply: Reply): void {
    const { response } = this.wire;
    if (response.headersSent || response.destroyed) return;
    if (this.#wouldPoisonNext()) this.closeAfterReply();
    const body = reply.body ?? '';
    const length = Buffer.byteLength(body);
    if (reply.status === 204 || reply.status === 304) {
      response.writeHead(reply.status, [...reply.fields]);
      response.end();
      return;
    }
    response.writeHead(reply.status, reply.fields.concat('Content-Length', String(length)));
    // Node writes head and body in one encoding when both are strings: latin1 keeps field values the bytes they are, and
    // is right for a body only while that is ASCII.
    if (typeof body === 'string' && body.length === length) response.end(body, 'latin1');
    else response.end(Buffer.from(body));
  }

  /** Ends the connection with the reply of this exchange. */
  closeAfterReply(): void {
    this.wire.response.shouldKeepAlive = false;
    lingerAfterReply(this.wire.request.socket);
  }

  // A body that nobody will read would have to be discarded, however long, before the next request can be found.
  #wouldPoisonNext(): boolean {
    if (this.wire.request.complete || !hasBody(this.#framing)) return false;
    return this.#framing.transferEncodings > 0 || Number(this.#framing.contentLength) > discardableBytes;
  }
}

/** What arrived, as Node's parser read it. */
export function headOf(request: IncomingMessage, framing: Framing, encrypted: boolean): RequestHead {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    authority: framing.host,
    version: request.httpVersion === '1.0' ? '1.0' : '1.1',
    encrypted,
    peer: request.socket.remoteAddress ?? '',
    fields: new Fields(request.rawHeaders),
  };
}
