import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { AuthMetadataService } from '../../src/flyte/gen/flyteidl2/auth/auth_service_pb.ts';
import { freePort, startNginx } from '../fakes/nginx.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';
import { testCertificate } from '../server/test-certificate.ts';
import { blocksOf } from './blocks.ts';

const program = requireProgram('nginx');

/** Whom the test's certificate convinces is not the question here. */
const trusting = { rejectUnauthorized: false };

describe('the nginx of docs/flyte.md, which leads all to the gateway,', { skip: program.skip }, () => {
  let rig: FakeRig;
  let url: string;
  let token: string;
  before(async () => {
    const port = await freePort();
    url = `https://localhost:${port}`;
    const settings = { 'server.trustedProxies': ['127.0.0.1/32'], 'auth.authorizedUris': [] };
    rig = await startFakeRig({ publicUrl: url, settings });
    const front = await startNginx({
      path: program.path,
      gateway: rig.port,
      upstream: 1,
      port,
      site: await siteOn(port),
    });
    endLater(front.stop);
    token = await rig.provider.accessToken();
  });
  const fields = () => ({ 'flyte-authorization': `Bearer ${token}` });
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const dispatcher = new Agent({ connect: trusting });
    const answer = await request(url + path, { headers, dispatcher });
    await answer.body.dump();
    await dispatcher.close();
    return answer;
  };

  it('lets navigations sign in, and callers with a token in', async () => {
    const page = await ask('/console', { 'sec-fetch-mode': 'navigate' });
    assert.equal(page.statusCode, 302);
    assert.equal(page.headers['location'], '/login?redirect_url=%2Fconsole');
    const login = await ask('/login');
    assert.match(String(login.headers['location']), new RegExp(encodeURIComponent(`${url}/callback`)));
    assert.equal((await ask('/me')).statusCode, 401);
    assert.equal((await ask('/me', fields())).statusCode, 200);
  });

  for (const [what, make] of [
    ['gRPC', createGrpcTransport],
    ['gRPC-Web', (at: { baseUrl: string; nodeOptions: object }) => createGrpcWebTransport({ ...at, httpVersion: '2' })],
    [
      'Connect over HTTP/1.1',
      (at: { baseUrl: string; nodeOptions: object }) => createConnectTransport({ ...at, httpVersion: '1.1' }),
    ],
    [
      'Connect over HTTP/2',
      (at: { baseUrl: string; nodeOptions: object }) => createConnectTransport({ ...at, httpVersion: '2' }),
    ],
  ] as const)
    it(`passes ${what} on: discovery, calls and streams`, async () => {
      const withToken: Interceptor = (next) => (call) => {
        for (const [name, value] of Object.entries(fields())) call.header.set(name, value);
        return next(call);
      };
      const at = { baseUrl: url, nodeOptions: trusting };
      const { clientId } = await createClient(AuthMetadataService, make(at)).getPublicClientConfig({});
      assert.equal(clientId, 'flyte-cli');
      const echo = createClient(EchoService, make({ ...at, interceptors: [withToken] } as typeof at));
      assert.equal((await echo.unary({ text: 'hello' })).identity['x-auth-request-user'], 'ada');
      const numbers: number[] = [];
      for await (const { number } of echo.serverStream({ text: 'x', count: 3 })) numbers.push(number);
      assert.deepEqual(numbers, [1, 2, 3]);
    });

  it('passes WebSockets on', async () => {
    const socket = new WebSocket(`${url.replace('https', 'wss')}/api/v1/echo`, { headers: fields(), ...trusting });
    await once(socket, 'open');
    socket.send('hello');
    const [answer] = await once(socket, 'message');
    assert.match(String(answer), /hello/);
    socket.close();
  });
});

/** The page's block, on a port and with a certificate of the test's. */
async function siteOn(port: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-docs-'));
  endLater(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'tls.crt'), testCertificate.cert);
  await writeFile(join(folder, 'tls.key'), testCertificate.key);
  const block = (await blocksOf('docs/flyte.md')).find(({ language }) => language === 'nginx');
  assert.ok(block);
  return block.text
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`)
    .replaceAll('/etc/nginx/tls', join(folder, 'tls'));
}
