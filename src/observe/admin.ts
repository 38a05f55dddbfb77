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

/**
 * Serves `/healthz` (the process is up), `/readyz` (send traffic here, with what is missing in its body) and `/metrics`.
 */
export function createAdminServer(needs: {
  listen: Address;
  readiness: () => Promise<Readiness>;
  metrics: Pick<Metrics, 'page'>;
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
  needs: { readiness: () => Promise<Readiness>; metrics: Pick<Metrics, 'page'> },
): Promise<void> {
  const path = request.url?.split('?', 1)[0];
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

function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
