import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
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

  get connection(): object {
    return this.wire.request.socket;
  }

  // A response hears of its connection's end only a moment later.
  get isGone(): boolean {
    return this.wire.response.destroyed || this.wire.request.socket.destroyed;
  }

  send(reply: Reply): void {
    const { response } = this.wire;
    if (response.headersSent || this.isGone) return;
    if (response.statusMessage) this.#forgetHead();
    if (this.#wouldPoisonNext()) this.closeAfterReply();
    // Said each time: Node would take the phrase of a head that could not be written for ours, and fail again.
    const reason = STATUS_CODES[reply.status] ?? '';
    response.sendDate = true;
    const body = reply.body ?? '';
    const length = Buffer.byteLength(body);
    if (reply.status === 204 || reply.status === 304) {
      response.writeHead(reply.status, reason, [...reply.fields]);
      response.end();
      return;
    }
    response.writeHead(reply.status, reason, [...reply.fields, 'Content-Length', String(length)]);
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

  /** Undoes what is left of a head that could not be written. What cannot be undone ends with the connection. */
  #forgetHead(): void {
    this.wire.response.chunkedEncoding = false;
    this.closeAfterReply();
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
