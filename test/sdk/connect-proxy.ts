import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { endLater } from '../flows/rig.ts';

/**
 * A forward proxy that leads `flyte.test` and the names under it, at port 443, to one port of this machine, and all else where it
 * belongs: clients reach a gateway by a name that nobody has. It ends with the test file.
 *
 * @returns its URL, for `HTTPS_PROXY`
 */
export async function startConnectProxy(port: () => number): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', (request, caller, head) => {
    const { hostname, port: own } = new URL(`http://${request.url}`);
    const isOurs = /(^|\.)flyte\.test$/.test(hostname);
    const at = isOurs ? { host: '127.0.0.1', port: port() } : { host: hostname, port: Number(own || 80) };
    const onward = connect(at, () => {
      caller.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.write(head);
      onward.pipe(caller).pipe(onward);
    });
    sockets.add(onward);
    // One end that breaks takes the other along.
    onward.on('error', () => caller.destroy());
    caller.on('error', () => onward.destroy());
    onward.on('close', () => sockets.delete(onward));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
