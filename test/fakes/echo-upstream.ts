import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createOnePort } from '../../src/demo/one-port.ts';

/** One request exactly as it arrived. */
export interface Received {
  readonly version: '1.0' | '1.1' | '2';
  readonly method: string;
  /** Request-target or `:path`, byte for byte. */
  readonly target: string;
  /** Flat: name, value … in the order and spelling of the wire (h2: pseudo-headers included); latin1 strings. */
  readonly fields: readonly string[];
  /** Everything of the body; rejected never, short when the sender went away. */
  readonly body: Promise<Buffer>;
  /** Trailers, flat; known once `body` is. */
  readonly trailers: () => readonly string[];
  /** Resolves when the request's connection or stream is gone; true when it ended whole. */
  readonly closed: Promise<boolean>;
}

/** What the upstream does with a request; the last one given holds until another is. */
export type Script =
  /** 200 with `{ method, target, version, fields, body }` as JSON; the body as latin1. Waits for the whole body. */
  | { readonly kind: 'echo' }
  /** A well-formed answer, at once. `fields` is flat. */
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly fields?: readonly string[];
      readonly body?: string | Uint8Array;
    }
  /** Exactly these bytes on the HTTP/1.1 connection, well-formed or not; then optionally its end or a reset. */
  | { readonly kind: 'raw'; readonly bytes: string | Uint8Array; readonly then?: 'end' | 'reset' }
  /** Never answers. */
  | { readonly kind: 'stall' }
  /** Kills the connection (h1) or stream (h2) as soon as the head has arrived. */
  | { readonly kind: 'reset' }
  /** Anything else: whoever writes the script answers by hand. */
  | {
      readonly kind: 'by-hand';
      readonly http1?: (request: IncomingMessage, response: ServerResponse) => void;
      readonly http2?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
      readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
    };

export interface EchoUpstream {
  /** `http://127.0.0.1:<port>`; speaks HTTP/1.1, upgrades and HTTP/2 by prior knowledge. */
  readonly url: string;
  readonly port: number;
  /** Every request so far, in order. */
  readonly requests: readonly Received[];
  /** Raw bytes of every HTTP/1.1 connection so far, in order of their first byte. */
  readonly wires: readonly { readonly bytes: () => Buffer }[];
  /** Resolves with the next request that arrives after this call. */
  next(): Promise<Received>;
  script(script: Script): void;
  /** Ends every connection and closes the port. */
  close(): Promise<void>;
}

/**
 * A real upstream on a free port of 127.0.0.1 that remembers exactly what arrived and answers as told.
 *
 * Upgrades are answered `101` and echoed byte for byte unless a by-hand script says otherwise.
 */
export async function startEchoUpstream(first: Script = { kind: 'echo' }): Promise<EchoUpstream> {
  let script = first;
  const requests: Received[] = [];
  const wires: { bytes: () => Buffer }[] = [];
  let waiting: ((received: Received) => void)[] = [];
  const port = createOnePort();
  port.http1.on('connection', (socket) => wires.push(watched(socket)));
  const note = (received: Received) => {
    requests.push(received);
    for (const tell of waiting.splice(0)) tell(received);
  };
  port.http1.on('request', (request, response) => {
    const received = receivedOver1(request);
    note(received);
    answer1({ script, request, response, received });
  });
  port.http1.on('upgrade', (request, socket, head) => {
    note(receivedUpgrade(request));
    if (script.kind === 'by-hand' && script.upgrade) script.upgrade(request, socket, head);
    else if (script.kind === 'by-hand' || script.kind === 'echo') acceptUpgrade(request, socket, head);
    else answerUpgrade(script, socket);
  });
  port.http2.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => {}); // a reset by either side is what 'close' reports
    const received = receivedOver2(stream, headers, raw);
    note(received);
    answer2({ script, stream, headers, received });
  });
  port.http2.on('sessionError', () => {}); // seen by tests as a closed connection
  port.http1.on('clientError', (_error, socket) => socket.destroy());
  const number = await port.start(0, '127.0.0.1');
  return {
    url: `http://127.0.0.1:${number}`,
    port: number,
    requests,
    wires,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    script: (next) => {
      script = next;
    },
    close: () => {
      waiting = [];
      return port.stop();
    },
  };
}

/** Watching `data` also keeps Node's parser from reading the socket behind our back. */
function watched(socket: Socket): { bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { bytes: () => Buffer.concat(chunks) };
}

function receivedOver1(request: IncomingMessage): Received {
  return {
    version: request.httpVersion === '1.0' ? '1.0' : '1.1',
    method: request.method ?? '',
    target: request.url ?? '',
    fields: request.rawHeaders,
    body: collected(request),
    trailers: () => request.rawTrailers,
    closed: new Promise((resolve) => request.once('close', () => resolve(request.complete))),
  };
}

function receivedUpgrade(request: IncomingMessage): Received {
  const closed = new Promise<boolean>((resolve) => request.socket.once('close', (hadError) => resolve(!hadError)));
  return {
    version: '1.1',
    method: request.method ?? '',
    target: request.url ?? '',
    fields: request.rawHeaders,
    body: Promise.resolve(Buffer.alloc(0)),
    trailers: () => [],
    closed,
  };
}

function receivedOver2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): Received {
  let trailers: readonly string[] = [];
  stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, rawTrailers?: readonly string[]) => {
    trailers = rawTrailers ?? Object.entries(_headers).flatMap(([name, value]) => [name, String(value)]);
  });
  return {
    version: '2',
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    fields: raw,
    body: collected(stream),
    trailers: () => trailers,
    closed: new Promise((resolve) => stream.once('close', () => resolve(stream.rstCode === 0))),
  };
}

function collected(source: IncomingMessage | ServerHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    source.on('data', (chunk: Buffer) => chunks.push(chunk));
    source.once('close', () => resolve(Buffer.concat(chunks)));
    source.once('end', () => resolve(Buffer.concat(chunks)));
    source.once('error', () => resolve(Buffer.concat(chunks))); // short body: `closed` says so
  });
}

async function echoOf(received: Received): Promise<string> {
  const { version, method, target, fields } = received;
  return JSON.stringify({ version, method, target, fields, body: (await received.body).toString('latin1') });
}

async function answer1(on: {
  script: Script;
  request: IncomingMessage;
  response: ServerResponse;
  received: Received;
}): Promise<void> {
  const { script, request, response } = on;
  const { socket } = request;
  if (script.kind === 'by-hand') script.http1?.(request, response);
  else if (script.kind === 'reset') socket.resetAndDestroy();
  else if (script.kind === 'raw') answerUpgrade(script, socket);
  else if (script.kind === 'reply') {
    // Without Date and friends: what arrives at the other end is what the script says.
    response.sendDate = false;
    response.writeHead(script.status, [...(script.fields ?? [])]).end(script.body);
  } else if (script.kind === 'echo') {
    const body = await echoOf(on.received);
    response.writeHead(200, ['content-type', 'application/json']).end(body);
  }
}

async function answer2(on: {
  script: Script;
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  received: Received;
}): Promise<void> {
  const { script, stream, headers } = on;
  if (script.kind === 'by-hand') script.http2?.(stream, headers);
  else if (script.kind === 'reset' || script.kind === 'raw') stream.close(2 /* INTERNAL_ERROR */);
  else if (script.kind === 'reply') {
    stream.respond({ ':status': script.status, ...grouped(script.fields ?? []) });
    stream.end(script.body);
  } else if (script.kind === 'echo') {
    const body = await echoOf(on.received);
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(body);
  }
}

function grouped(fields: readonly string[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    all[name] = [...(all[name] ?? []), fields[i + 1] ?? ''];
  }
  return all;
}

function acceptUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy()); // seen by tests as a closed connection
  const protocol = request.headers.upgrade ?? 'websocket';
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
  if (head.length > 0) socket.write(head);
  socket.pipe(socket);
}

function answerUpgrade(script: Exclude<Script, { kind: 'by-hand' | 'echo' }>, socket: Duplex): void {
  if (script.kind === 'raw') {
    socket.write(script.bytes);
    if (script.then === 'end') socket.end();
    if (script.then === 'reset') resetOf(socket);
  } else if (script.kind === 'reset') resetOf(socket);
  else if (script.kind === 'reply') {
    const fields = script.fields ?? [];
    let head = `HTTP/1.1 ${script.status} Scripted\r\n`;
    for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
    socket.end(`${head}\r\n${script.body ?? ''}`);
  }
}

function resetOf(socket: Duplex): void {
  if ('resetAndDestroy' in socket && typeof socket.resetAndDestroy === 'function') socket.resetAndDestroy();
  else socket.destroy();
}
