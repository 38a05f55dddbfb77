import {
  constants,
  createServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { faultOf } from './admission.ts';
import { createContain } from './contain.ts';
import { Http2Exchange, headOfStream } from './exchange-http2.ts';
import type { Fault } from './framing.ts';
import type { Protocol, ProtocolNeeds } from './http1.ts';
import { watchPeer } from './http2-ping.ts';
import { createStallWatch, resetWhenStalled, type StallWatch } from './http2-stall.ts';
import { dropUnread } from './http2-unread.ts';
import { onSilence } from './on-silence.ts';
import { keepRequestTrailers } from './request-trailers.ts';

// A reset by the caller is no news, but an unheard error would end the process.
const unheard = () => undefined;

/** What is known of a connection. */
interface Connection {
  readonly session: Http2Session;
  readonly peer: string;
  /** Requests that the handler still has in hand: a stream that its caller reset may be among them. */
  unfinished: number;
}

/** Serves HTTP/2, whether by prior knowledge or by ALPN. */
export function createHttp2(needs: ProtocolNeeds): Protocol {
  const server = createNodeServer(needs);
  const connections = new Map<Http2Session, Connection>();
  let isDraining = false;
  const contain = createContain(needs.log);
  const stalls = createStallWatch(needs.limits.bodyIdleMs);
  const serving = { ...needs, stalls };
  const pings = {
    intervalMs: needs.limits.pingIntervalMs,
    timeoutMs: needs.limits.pingTimeoutMs,
    onLost: () => needs.log.debug('connection.lost'),
  };

  const welcome = (session: Http2Session) => {
    const connection: Connection = { session, peer: session.socket.remoteAddress ?? '', unfinished: 0 };
    connections.set(session, connection);
    session.once('close', () => connections.delete(session));
    session.setLocalWindowSize(needs.limits.connectionWindow);
    watchPeer(session, { ...pings, isNeeded: () => connection.unfinished > 0 });
    onSilence(session, needs.limits.idleMs, () => {
      if (connection.unfinished === 0) session.destroy();
    });
    if (isDraining) session.close();
  };
  server.on(
    'session',
    contain(welcome, (session) => session.destroy()),
  );
  server.on('sessionError', (cause) => needs.log.debug('connection.broken', { cause }));
  const begin = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    stream.on('error', unheard);
    keepRequestTrailers(stream);
    const connection = stream.session && connections.get(stream.session);
    // A reset that came with the request closes the stream before anybody is told of it; destroyed it is later.
    if (connection && !stream.destroyed && !stream.closed) serve(serving, connection, { stream, headers, raw });
  };
  server.on(
    'stream',
    contain(begin, (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)),
  );
  return {
    accept: (socket) => {
      // Nothing in HTTP/2 can follow the end of what a client sends.
      socket.allowHalfOpen = false;
      server.emit('connection', socket);
    },
    drain: () => {
      isDraining = true;
      for (const session of connections.keys()) session.close();
    },
    close: () => {
      stalls.close();
      server.close();
    },
  };
}

interface Serving extends ProtocolNeeds {
  readonly stalls: StallWatch;
}

/** A request as Node hands it over. */
interface Arrived {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
}

function serve(needs: Serving, connection: Connection, { stream, headers, raw }: Arrived): void {
  // Open streams are bounded by the settings; those that were opened, reset and are still being worked on, here.
  if (connection.unfinished >= 2 * needs.limits.streamsPerConnection) {
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  const { stalls } = needs;
  const { head, framing } = headOfStream(raw, { encrypted: needs.encrypted, peer: connection.peer });
  const exchange = new Http2Exchange({ stream, headers }, head, needs.newReference);
  const fault =
    faultOfSize(raw, needs.limits.headerBytes) ??
    faultOf(head, framing, needs.limits.headerCount) ??
    faultOfExpectation(exchange, stream);
  if (fault) {
    needs.entrance.refuse(exchange, fault);
    watchUnread(exchange, stalls);
    return;
  }
  const finished = needs.entrance.pass(exchange);
  if (finished) {
    connection.unfinished += 1;
    const endWatch = stalls.begin(exchange);
    finished.then(() => {
      connection.unfinished -= 1;
      endWatch();
      // A reply of our own may still wait for room.
      if (stream.closed) dropUnread(stream);
      else resetWhenStalled(exchange, needs.limits.bodyIdleMs);
    });
  } else if (!stream.writableEnded) resetWhenStalled(exchange, needs.limits.bodyIdleMs);
  else watchUnread(exchange, stalls);
}

/** An answer that was complete at once still waits for the room that its caller gives it. */
function watchUnread(exchange: Http2Exchange, stalls: StallWatch): void {
  const { stream } = exchange.wire;
  if (stream.writableLength > 0 && !stream.destroyed) stream.once('close', stalls.begin(exchange));
}

function createNodeServer({ limits }: ProtocolNeeds): Http2Server {
  return createServer({
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.streamsPerConnection,
      initialWindowSize: limits.streamWindow,
      maxHeaderListSize: limits.headerBytes,
    },
    // So many more than the limit get an answer that says so; from there on, the stream is reset unread.
    maxHeaderListPairs: 2 * limits.headerCount + 8,
    maxSettings: 32,
    // Node's own count of what a connection takes, in MB: about 2.2 KB for each open stream (measured). Over it, new streams
    // are refused, whatever our settings have told the caller.
    maxSessionMemory: 10 + Math.ceil(limits.streamsPerConnection / 250),
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Cancelling is a client's right, within limits. Beyond them the connection is closed.
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
  });
}

/** nghttp2 holds a caller to our limit only when it has acknowledged our settings, and to 64 KiB before. */
function faultOfSize(raw: readonly string[], maxBytes: number): Fault | undefined {
  let bytes = 0;
  for (const part of raw) bytes += part.length;
  return bytes > maxBytes ? { status: 431, code: 'headers_too_many' } : undefined;
}

/** Tells a caller who asked first that the body may come (RFC 9110 §10.1.1). */
function faultOfExpectation(exchange: Http2Exchange, stream: ServerHttp2Stream): Fault | undefined {
  const expectation = exchange.head.fields.get('expect');
  if (expectation === undefined) return undefined;
  if (expectation.toLowerCase() !== '100-continue') return { status: 417, code: 'request_malformed' };
  stream.additionalHeaders({ ':status': 100 });
  return undefined;
}
