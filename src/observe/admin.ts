import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Address } from '../config/config.ts';
import type { Readiness } from './health.ts';
import type { Metrics } from './metrics.ts';

/** The operator's port: never the public one. */
export interface AdminServer {
  /** Listens. @returns the address, with the port that the system chose for 0 */
  start(): Promise<Address>;
  stop(): Promise<void>;
}

/** What the operator's API is asked. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  /** Of the peer. */
  readonly address: string;
  /** At most 4 KiB. */
  readonly body: string;
}

export interface AdminReply {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: object;
  /** `WWW-Authenticate`. */
  readonly challenge?: string;
}

/** Said where no process could be asked. */
export const NOBODY_ANSWERS: AdminReply = {
  status: 503,
  body: { code: 'unavailable', message: 'no process answers: ask again' },
};

/** Answers everything under `/api/`; asks for a credential itself. */
export type AdminApi = (request: AdminRequest) => Promise<AdminReply>;

const MAX_BODY_BYTES = 4096;

/**
 * Serves `/healthz` (the process is up), `/readyz` (send traffic here, with what is missing in its body) and `/metrics`, and the
 * operator's API under `/api/`.
 */
export function createAdminServer(needs: {
  listen: Address;
  readiness: () => Promise<Readiness>;
  metrics: Pick<Metrics, 'page'>;
  api: AdminApi;
}): AdminServer {
  const server = createServer((request, response) => {
    void answer(request, response, needs).catch((cause: unknown) => {
      // A page that cannot be made must not take the gateway with it; the monitor sees the 500.
      if (response.headersSent) response.destroy();
      else reply(response, 500, 'text/plain', cause instanceof Error ? cause.message : 'failed');
    });
  });
  server.requestTimeout = 10_000;
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(needs.listen.port, needs.listen.host, () => {
          server.off('error', reject);
          resolve({ host: needs.listen.host, port: (server.address() as AddressInfo).port });
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  needs: { readiness: () => Promise<Readiness>; metrics: Pick<Metrics, 'page'>; api: AdminApi },
): Promise<void> {
  const [path = '', query = ''] = request.url?.split('?', 2) ?? [];
  if (path.startsWith('/api/')) return callApi({ request, response, path, query }, needs.api);
  if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, 'text/plain', 'GET only\n');
  if (path === '/healthz') return reply(response, 200, 'text/plain', 'ok\n');
  if (path === '/readyz') {
    const readiness = await needs.readiness();
    return reply(response, readiness.ready ? 200 : 503, 'application/json', `${JSON.stringify(readiness)}\n`);
  }
  if (path === '/metrics') {
    const page = await needs.metrics.page();
    return reply(response, 200, page.contentType, page.body);
  }
  return reply(response, 404, 'text/plain', 'here are /healthz, /readyz and /metrics\n');
}

interface Called {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
}

async function callApi({ request, response, path, query }: Called, api: AdminApi): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return reply(response, 413, 'text/plain', 'too long\n');
  }
  const {
    status,
    body: content,
    challenge,
  } = await api({
    method: request.method ?? '',
    path,
    query: new URLSearchParams(query),
    authorization: request.headers.authorization,
    address: request.socket.remoteAddress ?? '',
    body,
  });
  if (challenge !== undefined) response.setHeader('www-authenticate', challenge);
  reply(response, status, 'application/json', `${JSON.stringify(content)}\n`);
}

/** @returns undefined for one that is too long. The server's own deadline ends one that never does. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Else leaving the loop would close the connection before it was answered.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Buffer)) continue;
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
