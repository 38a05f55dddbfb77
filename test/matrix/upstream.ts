import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Duplex, Readable, Writable } from 'node:stream';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import { createOnePort } from '../../src/demo/one-port.ts';
import { testCertificate } from '../server/test-certificate.ts';
import { listen, type Port } from './port.ts';

/** A request at the upstream, the same whichever protocol it came by. Texts are latin1: a character is a byte. */
export interface Arrival {
  readonly version: '1.1' | '2';
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  /** Flat, in the order of the wire, without pseudo-headers and Host. */
  readonly fields: readonly string[];
  readonly body: Readable;
  /** Flat; whole once the body has ended. */
  trailers(): readonly string[];
  /** Sends an interim answer. */
  inform(status: 103, fields: Readonly<Record<string, string | string[]>>): void;
  /** Sends the head; the body goes into what it returns, whose end sends the trailers. */
  start(status: number, fields: readonly string[], trailers?: readonly string[]): Writable;
  /** Calls back as soon as the upstream can know that nobody waits for the answer any more. */
  onGone(told: () => void): void;
  /** Breaks the answer off: the stream, or what HTTP/1.1 has instead, the connection. */
  reset(): void;
  /** Whether the peer lets us push (RFC 9113 §8.4). */
  readonly mayPush: boolean;
}

export interface UpstreamNeeds {
  readonly tls: boolean;
  readonly serve: (arrival: Arrival) => void;
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** An upstream that speaks HTTP/1.1 and HTTP/2 on one port of 127.0.0.1: by the first bytes, or by ALPN. */
export async function startUpstream(needs: UpstreamNeeds): Promise<Port> {
  const plain = createOnePort();
  const { http1, http2 } = needs.tls ? { http1: createHttp1(), http2: createHttp2() } : plain;
  http1.on('request', (request, response) => needs.serve(arrivedBy1(request, response)));
  http1.on('clientError', (_cause, socket) => socket.destroy()); // a caller that hangs up is part of the tests
  if (needs.onUpgrade) http1.on('upgrade', needs.onUpgrade);
  http2.on('stream', (stream, headers, _flags, raw) => needs.serve(arrivedBy2(stream, headers, raw)));
  http2.on('sessionError', () => undefined); // likewise
  if (!needs.tls) {
    const port = await plain.start(0, '127.0.0.1');
    return { port, close: plain.stop };
  }
  const server = createTls({ ...testCertificate, ALPNProtocols: ['h2', 'http/1.1'] }, (socket: TLSSocket) => {
    socket.on('error', () => undefined); // told by 'close'
    (socket.alpnProtocol === 'h2' ? http2 : http1).emit('connection', socket);
  });
  return listen(server);
}

function arrivedBy1(request: IncomingMessage, response: ServerResponse): Arrival {
  // A caller that leaves in the middle is told by 'close'.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  response.sendDate = false;
  const { authority, fields } = withoutHost(request.rawHeaders);
  return {
    ...{ version: '1.1', method: request.method ?? '', target: request.url ?? '', authority, fields },
    body: request,
    trailers: () => request.rawTrailers,
    inform: (_status, hints) => response.writeEarlyHints(hints),
    start: (status, answer, trailers = []) => {
      response.writeHead(status, [...answer]);
      if (trailers.length > 0) response.addTrailers(paired(trailers));
      return response;
    },
    onGone: (told) => void request.socket.once('close', told),
    reset: () => {
      if ('encrypted' in request.socket) request.socket.destroy();
      else request.socket.resetAndDestroy();
    },
    mayPush: false,
  };
}

function arrivedBy2(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): Arrival {
  stream.on('error', () => undefined); // a reset by either side is told by 'close'
  let requestTrailers: readonly string[] = [];
  stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, rawTrailers: readonly string[]) => {
    requestTrailers = rawTrailers;
  });
  return {
    version: '2',
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    authority: headers[':authority'] ?? '',
    fields: raw.filter((_, i) => !raw[i - (i % 2)]?.startsWith(':')),
    body: stream,
    trailers: () => requestTrailers,
    inform: (status, hints) => stream.additionalHeaders({ ':status': status, ...hints }),
    start: (status, answer, trailers = []) => {
      const head = answer.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part));
      stream.once('wantTrailers', () => {
        if (!stream.closed) stream.sendTrailers(grouped(trailers));
      });
      // Of a request whose nothing nobody read, Node may reset the stream before the frame that ends the answer went out.
      if (stream.endAfterHeaders || stream.readableEnded) stream.resume();
      // Trailers always, if none: without, Node would mark the last frame before a reset as a regular end. And its types
      // know nothing of `sendDate`.
      const options = { sendDate: false, waitForTrailers: true };
      stream.respond([':status', String(status), ...head], options);
      return stream;
    },
    onGone: (told) => void stream.once('aborted', told).once('close', told),
    reset: () => stream.close(2 /* INTERNAL_ERROR */),
    mayPush: stream.pushAllowed,
  };
}

function withoutHost(raw: readonly string[]): { authority: string; fields: string[] } {
  const isHost = (i: number) => raw[i - (i % 2)]?.toLowerCase() === 'host';
  const authority = raw.find((_, i) => i % 2 === 1 && isHost(i)) ?? '';
  return { authority, fields: raw.filter((_, i) => !isHost(i)) };
}

function paired(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] satisfies [string, string]] : []));
}

/** As Node's HTTP/2 takes trailers: every value of a name. */
export function grouped(flat: readonly string[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of paired(flat)) {
    all[name.toLowerCase()] ??= [];
    all[name.toLowerCase()]?.push(value);
  }
  return all;
}
