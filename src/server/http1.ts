import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import { bugFacts } from '../observe/facts.ts';
import type { Log } from '../observe/log.ts';
import { faultOf } from './admission.ts';
import { attempt, createContain } from './contain.ts';
import type { Entrance } from './entrance.ts';
import { Http1Exchange } from './exchange-http1.ts';
import { UpgradeExchange } from './exchange-upgrade.ts';
import { type Fault, hasBody, readFraming } from './framing.ts';
import { answerBrokenRequest } from './http1-broken.ts';
import { createPending, type Pending } from './http1-pending.ts';
import { ignoreLate, isClosing } from './linger.ts';

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

/** Serves HTTP/1.0 and HTTP/1.1. `retire` lets each connection end with its next answer; whatever comes is served. */
export function createHttp1(needs: ProtocolNeeds): Protocol & { retire(): void } {
  const server = createNodeServer(needs);
  const contain = createContain(needs.log);
  const pending = createPending(server, { contain, ...needs.limits });
  const serving = { ...needs, pending, reading: new WeakMap<Socket, IncomingMessage>() };

  const onResponseError = createOnResponseError(needs.log);
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    response.on('error', onResponseError);
    serve(serving, request, response);
  };
  const onExpectation = (request: IncomingMessage, response: ServerResponse) => {
    response.on('error', onResponseError);
    refuseExpectation(serving, request, response);
  };
  const drop = ({ socket }: IncomingMessage) => void socket.destroy();
  server.on('request', contain(onRequest, drop));
  server.on('checkExpectation', contain(onExpectation, drop));
  const onTakeOver = contain((request: IncomingMessage, head: Buffer) => takeOver(serving, request, head), drop);
  server.on('upgrade', (request, _socket, head) => onTakeOver(request, head));
  server.on('connect', (request, _socket, head) => onTakeOver(request, head));
  const onBroken = (cause: Error, socket: Socket) => answerBroken(serving, cause, socket);
  server.on(
    'clientError',
    contain(onBroken, (_cause, socket) => void socket.destroy()),
  );

  // Node counts down its time limits only in a server that listens. This one is given its connections.
  server.emit('listening');
  return {
    accept: (socket) => {
      server.emit('connection', socket);
      pending.watch(socket);
    },
    retire: pending.retire,
    drain: pending.drain,
    close: () => {
      server.close();
      pending.close();
    },
  };
}

interface Serving extends ProtocolNeeds {
  readonly pending: Pending;
  /** The last request of a connection that has a body: until that is complete, the parser is inside it. */
  readonly reading: WeakMap<Socket, IncomingMessage>;
}

function serve(serving: Serving, request: IncomingMessage, response: ServerResponse): void {
  const { entrance, limits, pending, reading } = serving;
  if (isTooLate(request.socket)) return;
  const framing = readFraming(request.rawHeaders);
  if (hasBody(framing)) reading.set(request.socket, request);
  const exchange = new Http1Exchange({ request, response }, framing, serving);
  if (pending.isRetiring) exchange.closeAfterReply();
  // Of an upgrade that we ignore, Node's parser throws away what came in one packet with it: half of a next request, and
  // the other half would be read as something else.
  if (request.headers.upgrade !== undefined) exchange.closeAfterReply();
  const fault = faultOfVersion(request) ?? faultOf(exchange.head, framing, limits.headerCount);
  if (fault) {
    exchange.closeAfterReply();
    entrance.refuse(exchange, fault);
    return;
  }
  entrance.pass(exchange);
  // Also one whose answer is complete but finds no room: a caller that reads nothing must not hold it for ever.
  if (!response.writableEnded || request.socket.writableLength > 0) pending.add(response);
}

function refuseExpectation(serving: Serving, request: IncomingMessage, response: ServerResponse): void {
  if (isTooLate(request.socket)) return;
  const exchange = new Http1Exchange({ request, response }, readFraming(request.rawHeaders), serving);
  exchange.closeAfterReply();
  serving.entrance.refuse(exchange, { status: 417, code: 'request_malformed' });
}

/** Sent after a request that ended the connection. */
function isTooLate(socket: Socket): boolean {
  if (!socket.destroyed && isClosing(socket)) ignoreLate(socket);
  return socket.destroyed || isClosing(socket);
}

function takeOver(serving: Serving, request: IncomingMessage, head: Buffer): void {
  const { entrance, limits, pending } = serving;
  const { socket } = request;
  if (socket.destroyed) return;
  pending.leave(socket);
  // An answer to an earlier request is still on its way: the new protocol's bytes would end up inside it.
  if (pending.has(socket) || isClosing(socket)) {
    socket.destroy();
    return;
  }
  const framing = readFraming(request.rawHeaders);
  const exchange = new UpgradeExchange({ request, socket, head }, framing, serving);
  const fault = faultOf(exchange.head, framing, limits.headerCount);
  if (fault) entrance.refuse(exchange, fault);
  else entrance.pass(exchange);
}

function answerBroken({ log, pending, reading }: Serving, cause: Error, socket: Socket): void {
  log.debug('connection.broken', { cause });
  const isBegun = pending.has(socket) || reading.get(socket)?.complete === false;
  answerBrokenRequest(cause, socket, isBegun);
}

/** Somebody wrote to an answer after its end. Unheard, the error would end the process. */
function createOnResponseError(log: Log): (this: ServerResponse, cause: Error) => void {
  return function (cause) {
    // The connection, not the response: one that waits for its turn would come to it, and never end.
    this.req.socket.destroy();
    attempt(() => log.error('request.crashed', bugFacts(cause)));
  };
}

function createNodeServer({ limits }: ProtocolNeeds): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    // A whole request has no limit, uploads take what they take; a body that stands still has one (http1-pending).
    requestTimeout: 0,
    // Nor has an idle connection: http1-pending looks after both.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headersMs / 2)),
    insecureHTTPParser: false,
    // Counted by ourselves, with those that Node takes for one.
    requireHostHeader: false,
    shouldUpgradeCallback: isWebSocketHandshake,
    // A request that announces no body is not made a stream that would end a moment later.
    optimizeEmptyRequests: true,
  });
  // No limit, so that every field is listed and counted by ourselves: those that Node does not list would still decide
  // where the message ends.
  server.maxHeadersCount = 0;
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
