import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { endLater } from '../flows/rig.ts';
import { sdkCertificate } from './certificate.ts';

/** What stands in front of Flyte in some houses: it takes TLS off and lets nobody through who has not proved something to it. */
export interface IdentityAwareProxy {
  readonly port: number;
  /** Says where requests go that it lets through: a port of this machine. */
  sendTo(port: number): void;
  /** How many it turned away. */
  refused(): number;
}

/**
 * Starts one on `localhost`; it ends with the test file. Like a careless one it passes `Proxy-Authorization` on.
 *
 * @param secret what `Proxy-Authorization` has to say after `Bearer`
 */
export async function startIdentityAwareProxy(secret: string): Promise<IdentityAwareProxy> {
  let target = 0;
  let refused = 0;
  const server = createHttpsServer({ cert: sdkCertificate.cert, key: sdkCertificate.key }, (asked, answer) => {
    if (asked.headers['proxy-authorization'] === `Bearer ${secret}`) return relay(target, asked, answer);
    refused += 1;
    answer.writeHead(401, { 'content-type': 'application/json' });
    answer.end('{"code":"unauthenticated","message":"not let through"}');
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    sendTo: (port) => {
      target = port;
    },
    refused: () => refused,
  };
}

function relay(port: number, asked: IncomingMessage, answer: ServerResponse): void {
  const { method, url, headers } = asked;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
  });
  // Whichever side breaks takes the other along: the client sees it.
  onward.on('error', () => answer.destroy());
  answer.on('close', () => onward.destroy());
  asked.pipe(onward);
}
