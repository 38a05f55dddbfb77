import { createServer, type Server as HttpServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type Http2ServerRequest } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Enough of the HTTP/2 connection preface (RFC 9113 §3.4) to tell it from any HTTP/1.1 request line. */
const PREFACE_START = Buffer.from('PRI * HTTP/2');

/** A TCP port where HTTP/1.1 and HTTP/2 by prior knowledge are told apart by their first bytes. */
export interface OnePort {
  readonly http1: HttpServer;
  readonly http2: Http2Server;
  /** Opens the port. @param port 0 asks the system for a free one @returns the real port */
  start(port: number, host: string): Promise<number>;
  /** Closes the port and every connection, at once. */
  stop(): Promise<void>;
}

/** Makes a port for trying things out: no limits of any kind, so never for traffic that strangers send. */
export function createOnePort(): OnePort {
  const http1 = createServer();
  const http2 = createHttp2Server();
  const sockets = new Set<Socket>();
  const tcp = createTcpServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A connection that breaks ends in 'close': there is nobody left to tell.
    socket.on('error', () => socket.destroy());
    handOver(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket));
  });
  return {
    http1,
    http2,
    start: (port, host) => start(tcp, port, host),
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => tcp.close(() => resolve()));
    },
  };
}

/** A request in Node's compatibility API, which reads alike for both versions. */
export type AnyRequest = IncomingMessage | Http2ServerRequest;

/** Likewise what the two kinds of answers have in common. */
export interface AnyResponse extends Writable {
  writeHead(status: number, fields?: OutgoingHttpHeaders): this;
}

function start(tcp: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(port, host, () => {
      tcp.off('error', reject);
      resolve((tcp.address() as AddressInfo).port);
    });
  });
}

function handOver(socket: Socket, to: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const read = () => {
    const chunk: unknown = socket.read();
    if (!Buffer.isBuffer(chunk)) return;
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE_START.length);
    const isHttp2 = seen.subarray(0, length).equals(PREFACE_START.subarray(0, length));
    if (isHttp2 && length < PREFACE_START.length) return;
    socket.off('readable', read);
    socket.unshift(seen);
    to(isHttp2);
  };
  socket.on('readable', read);
}
