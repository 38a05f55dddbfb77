import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { type WebSocket, WebSocketServer } from 'ws';
import { consolePage } from './console-page.ts';
import { addEcho, echoPath } from './echo-service.ts';
import { addFlyte1, flyte1Paths } from './flyte1-services.ts';
import { addFlyte2, flyte2Paths } from './flyte2-services.ts';
import { identitySeen, readable } from './identity-seen.ts';
import { type AnyRequest, type AnyResponse, createOnePort } from './one-port.ts';
import { render } from './page.ts';
import { projects } from './projects.ts';

export interface ControlPlaneOptions {
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Address to listen on; 127.0.0.1 unless said otherwise. */
  readonly host?: string;
  /** Milliseconds between two events of the ticker, or two changes of a watched run; 1000 unless said otherwise. */
  readonly tickMs?: number;
  /** Told about every request as it begins. */
  readonly onRequest?: (request: { readonly path: string; readonly fields: IncomingHttpHeaders }) => void;
}

export interface ControlPlane {
  /** Opens the port: HTTP/1.1, WebSocket and cleartext HTTP/2. @returns its URL */
  start(): Promise<string>;
  /** Ends every connection and closes the port. */
  stop(): Promise<void>;
}

/**
 * Something to stand behind the gateway: a console, a JSON API, events, WebSocket, uploads and gRPC, and as much of Flyte 2's and
 * 1's services as their SDKs need to list and watch. Like Flyte 2 it has no authentication of its own and believes the identity
 * headers it is sent.
 */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const port = createOnePort();
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1_048_576 });
  sockets.on('connection', echo);
  const tickMs = options.tickMs ?? 1000;
  const rpc = connectNodeAdapter({
    routes: (router) => {
      addEcho(router);
      addFlyte1(router);
      addFlyte2(router, tickMs);
    },
  });
  port.http1.on('request', (request, response) => {
    options.onRequest?.({ path: pathOf(request), fields: request.headers });
    if (isRpc(request)) rpc(request, response);
    else serve({ request, response, tickMs });
  });
  port.http2.on('request', (request, response) => {
    options.onRequest?.({ path: pathOf(request), fields: request.headers });
    if (isRpc(request)) rpc(request, response);
    else serve({ request, response, tickMs });
  });
  port.http1.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (pathOf(request) === '/api/v1/echo')
      sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws));
    else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
  return {
    start: async () => {
      const host = options.host ?? '127.0.0.1';
      return `http://${host}:${await port.start(options.port, host)}`;
    },
    stop: () => port.stop(),
  };
}

interface Asked {
  readonly request: AnyRequest;
  readonly response: AnyResponse;
  readonly tickMs: number;
}

function serve(asked: Asked): void {
  const { request, response } = asked;
  const path = pathOf(request);
  const { method } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (path === '/api/v1/upload' && method === 'POST') takeUpload(request, response);
  else if (path === '/api/v1/whoami') json(response, 200, whoami(request));
  else if (!isRead) json(response, 404, { error: 'nothing here', path });
  else if (path === '/console') page(response);
  else if (path === '/') response.writeHead(302, { location: '/console' }).end();
  else if (path === '/healthcheck') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  else if (path === '/api/v1/projects') json(response, 200, { projects: projectNames });
  else if (path === '/api/v1/ticks') tick(response, asked.tickMs);
  else json(response, 404, { error: 'nothing here', path });
}

const projectNames = projects.map(({ id, name, domains }) => ({ id, name, domains: domains.map((one) => one.id) }));

function whoami(request: AnyRequest) {
  const headers: Record<string, string | string[]> = {};
  const received: IncomingHttpHeaders = request.headers;
  for (const [name, value] of Object.entries(received)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.map(readable) : readable(value);
  }
  return {
    method: request.method,
    target: request.url,
    version: request.httpVersion,
    identity: identitySeen(received),
    headers,
  };
}

function page(response: AnyResponse): void {
  const { html, fields } = render(consolePage);
  response.writeHead(200, fields).end(html);
}

function tick(response: AnyResponse, tickMs: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let number = 0;
  const send = () => {
    // A reader that has fallen behind misses ticks: they are not worth keeping.
    if (response.writableLength > 65_536) return;
    number += 1;
    response.write(`id: ${number}\ndata: tick ${number}\n\n`);
  };
  send();
  const timer = setInterval(send, tickMs);
  response.once('close', () => clearInterval(timer));
}

function takeUpload(request: AnyRequest, response: AnyResponse): void {
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.once('end', () => json(response, 200, { bytes, sha256: hash.digest('hex') }));
  // Whoever breaks off an upload needs no answer.
  request.once('error', () => response.destroy());
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  // Broken frames or connections: ws closes the socket itself, and nobody else waits for it.
  socket.on('error', () => socket.terminate());
}

function json(response: AnyResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body, null, 2)}\n`);
}

const rpcPaths = [echoPath, ...flyte1Paths, ...flyte2Paths];

function isRpc(request: AnyRequest): boolean {
  const path = pathOf(request);
  return rpcPaths.some((prefix) => path.startsWith(prefix));
}

function pathOf(request: AnyRequest): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}
