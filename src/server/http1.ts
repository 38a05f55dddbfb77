import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { faultOf } from './admission.ts';
import type { Entrance } from './entrance.ts';
import { Http1Exchange } from './exchange-http1.ts';
import { UpgradeExchange } from './exchange-upgrade.ts';
import { type Fault, hasBody, readFraming } from './framing.ts';
import { answerBrokenRequest } from './http1-broken.ts';
import { closeWhenStalled } from './http1-stall.ts';
import { isClosing } from './linger.ts';

export interface ProtocolNeeds {
  readonly limits: Config['server']['limits'];
  /** Whether connections come over TLS. */
  readonly encrypted: boolean;
  readonly entrance: Entrance;
  readonly newReference: () => string;
  readonly log: Log;
}

/** One protocol's way of serving connections. */
export interface Protocol {
  /** Takes over a connection whose first bytes are unread. */
  readonly accept: (socket: Socket) => void;
  /** Lets connections end: idle ones at once, the others with their last answer. */
  drain(): void;
  /** Gives up its timers; connections are closed by whoever owns them. */
  close(): void;
}

/** Requests of one connection that wait for their answer at once: nobody pipelines so many. */
const maxPipelined = 100;

/** Serves HTTP/1.0 and HTTP/1.1. */
export function createHttp1(needs: ProtocolNeeds): Protocol {
  const server = createNodeServer(needs);
  const pending = createPending(server);
  // The last request of a connection that has a body: until that is complete, the parser is inside it.
  const reading = new WeakMap<Socket, IncomingMessage>();

  server.on('request', (request, response) => {
    // Sent after a request that ended the connection.
    if (isClosing(request.socket) || request.socket.destroyed) return;
    const framing = readFraming(request.rawHeaders);
    if (hasBody(framing)) reading.set(request.socket, request);
    const exchange = new Http1Exchange({ request, response }, framing, needs);
    if (pending.isDraining) response.shouldKeepAlive = false;
    // Of an upgrade that we ignore, Node's parser throws away what came in one packet with it: half of a next request, and
    // the other half would be read as something else.
    if (request.headers.upgrade !== undefined) exchange.closeAfterReply();
    const fault = faultOfVersion(request) ?? faultOf(exchange.head, framing, needs.limits.headerCount);
    if (fault) {
      exchange.closeAfterReply();
      needs.entrance.refuse(exchange, fault);
      return;
    }
    needs.entrance.pass(exchange);
    if (!response.writableEnded) pending.add(request, response);
  });

  server.on('checkExpectation', (request, response) => {
    if (isClosing(request.socket)) return;
    const exchange = new Http1Exchange({ request, response }, readFraming(request.rawHeaders), needs);
    exchange.closeAfterReply();
    needs.entrance.refuse(exchange, { status: 417, code: 'request_malformed' });
  });

  const takeOver = (request: IncomingMessage, head: Buffer) => {
    const { socket } = request;
    socket.setTimeout(0);
    // An answer to an earlier request is still on its way: the new protocol's bytes would end up inside it.
    if (pending.has(socket) || isClosing(socket)) {
      socket.destroy();
      return;
    }
    const framing = readFraming(request.rawHeaders);
    const exchange = new UpgradeExchange({ request, socket, head }, framing, needs);
    const fault = faultOf(exchange.head, framing, needs.limits.headerCount);
    if (fault) needs.entrance.refuse(exchange, fault);
    else needs.entrance.pass(exchange);
  };
  server.on('upgrade', (request, _socket, head) => takeOver(request, head));
  server.on('connect', (request, _socket, head) => takeOver(request, head));
  server.on('clientError', (cause, socket: Socket) => {
    needs.log.debug('connection.broken', { cause });
    const isBegun = pending.has(socket) || reading.get(socket)?.complete === false;
    answerBrokenRequest(cause, socket, isBegun);
  });

  // Node counts down its time limits only in a server that listens. This one is given its connections.
  server.emit('listening');
  return { accept: (socket) => server.emit('connection', socket), drain: pending.drain, close: () => server.close() };
}

function createNodeServer({ limits }: ProtocolNeeds): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    // A whole request has no limit, uploads take what they take; a body that stands still has one (http1-stall).
    requestTimeout: 0,
    keepAliveTimeout: limits.idleMs,
    keepAliveTimeoutBuffer: 0,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersMs / 2)),
    insecureHTTPParser: false,
    // Counted by ourselves, with those that Node takes for one.
    requireHostHeader: false,
    shouldUpgradeCallback: isWebSocketHandshake,
  });
  // No limit, so that every field is listed and counted by ourselves: those that Node does not list would still decide
  // where the message ends.
  server.maxHeadersCount = 0;
  server.timeout = limits.bodyIdleMs;
  return server;
}

/** Any other upgrade is ignored, and the request answered as it stands (RFC 9110 §7.8). */
function isWebSocketHandshake(request: IncomingMessage): boolean {
  return (
    request.method === 'GET' &&
    request.httpVersion === '1.1' &&
    request.headers.upgrade?.toLowerCase() === 'websocket' &&
    !hasBody(readFraming(request.rawHeaders))
  );
}

function faultOfVersion({ httpVersion }: IncomingMessage): Fault | undefined {
  return httpVersion === '1.1' || httpVersion === '1.0' ? undefined : { status: 505, code: 'request_malformed' };
}

interface Pending {
  /** Keeps track of a request that was not answered at once. */
  add(request: IncomingMessage, response: ServerResponse): void;
  /** Whether a request of this connection is still waiting for its answer. */
  has(socket: Socket): boolean;
  drain(): void;
  readonly isDraining: boolean;
}

function createPending(server: Server): Pending {
  const bySocket = new Map<Socket, Set<ServerResponse>>();
  let isDraining = false;
  return {
    add: (request, response) => {
      const { socket } = request;
      const responses = bySocket.get(socket) ?? new Set();
      bySocket.set(socket, responses.add(response));
      if (responses.size > maxPipelined) socket.destroy();
      response.on('timeout', () => closeWhenStalled(request, response));
      response.once('close', () => {
        responses.delete(response);
        if (responses.size === 0) bySocket.delete(socket);
        if (isDraining) setImmediate(() => server.closeIdleConnections());
      });
    },
    has: (socket) => bySocket.has(socket),
    drain: () => {
      isDraining = true;
      for (const responses of bySocket.values()) {
        // Only the last one may end the connection: those before it would take the rest of the line with them.
        const last = [...responses].at(-1);
        if (last && !last.headersSent) last.shouldKeepAlive = false;
      }
      server.closeIdleConnections();
    },
    get isDraining() {
      return isDraining;
    },
  };
}
