import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange, Reply, Wire } from './exchange.ts';
import { headOf } from './exchange-http1.ts';
import type { Framing } from './framing.ts';
import { linger } from './linger.ts';
import { Referenced } from './reference.ts';
import type { RequestHead } from './request-head.ts';
import { assertWritable } from './writable-field.ts';

/** One request that wants the connection for another protocol: a WebSocket handshake, or CONNECT, which is refused. */
export class UpgradeExchange extends Referenced implements Exchange {
  readonly head: RequestHead;
  readonly wire: Extract<Wire, { kind: 'upgrade' }>;
  readonly #socket: Socket;

  constructor(
    wire: { readonly request: IncomingMessage; readonly socket: Socket; readonly head: Buffer },
    framing: Framing,
    connection: { readonly encrypted: boolean; readonly newReference: () => string },
  ) {
    super(connection.newReference);
    this.wire = { kind: 'upgrade', request: wire.request, socket: wire.socket, head: wire.head };
    this.head = headOf(wire.request, framing, connection.encrypted);
    this.#socket = wire.socket;
  }

  get connection(): object {
    return this.#socket;
  }

  get isGone(): boolean {
    return this.#socket.destroyed;
  }

  send(reply: Reply): void {
    if (!this.#socket.writable) return;
    this.#socket.write(serialize(reply));
    // Read on, or the end of the connection goes unnoticed; nobody looks at what comes.
    this.#socket.resume();
    linger(this.#socket);
  }
}

/** A whole HTTP/1.1 reply that ends its connection. */
function serialize(reply: Reply): Buffer {
  assertWritable(reply.fields);
  const body = Buffer.from(reply.body ?? '');
  let head = `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}\r\n`;
  for (let i = 0; i < reply.fields.length; i += 2) head += `${reply.fields[i]}: ${reply.fields[i + 1]}\r\n`;
  head += `Content-Length: ${body.length}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
