import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { EchoUpstream } from '../fakes/echo-upstream.ts';
import type { Nginx } from '../fakes/nginx.ts';
import { startEchoBehindNginx } from '../flows/nginx-front.ts';
import { callOverHttp2 } from '../flows/nginx-grpc-call.ts';
import type { FakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';
import { connectRaw } from '../server/raw-connection.ts';

const program = requireProgram('nginx');

const handshake =
  'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nConnection: Upgrade\r\n';

describe('a page of another site behind nginx', { skip: program.skip }, () => {
  let rig: FakeRig;
  let front: Nginx;
  let upstream: EchoUpstream;
  let cookie: string;
  before(async () => {
    ({ rig, front, upstream } = await startEchoBehindNginx(program.path));
    ({ cookie } = await rig.signIn());
  });
  /** The first line of the answer, and how many requests reached the service. */
  const send = async (method: string, fields: string) => {
    const before = upstream.requests.length;
    const { port, origin } = new URL(front.url);
    const wire = await connectRaw({ host: '127.0.0.1', port: Number(port) });
    // Braces are in no token: three letters alone were, now and then.
    const own = fields.replaceAll('{own}', origin);
    wire.send(`${method} /api HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 0\r\n${own}\r\n`);
    const answer = await wire.until('\r\n\r\n');
    wire.socket.destroy();
    return { status: Number(answer.slice(9, 12)), answer, arrived: upstream.requests.length - before };
  };
  const withCookie = (fields: string) => `Cookie: ${cookie}\r\n${fields}\r\n`;

  const foreign = [
    'Origin: https://evil.example',
    'Origin: null',
    'Origin: {own}.evil.example',
    'Origin: {own}/',
    'Origin: https://localhost',
    'Origin: https://evil.example\r\nSec-Fetch-Site: same-origin',
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: same-site',
    'Origin: https://evil.example\r\nAuthorization: Basic Ym9iOnB3',
    'Origin: https://evil.example\r\nFlyte-Authorization: Basic Ym9iOnB3',
  ];
  for (const fields of foreign) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      it(`may not ${method} with a person’s cookie: ${JSON.stringify(fields)}`, async () => {
        const { status, answer, arrived } = await send(method, withCookie(fields));
        assert.deepEqual({ status, arrived }, { status: 403, arrived: 0 });
        assert.match(answer, /application\/json/);
      });
    it(`may not open a WebSocket with it: ${JSON.stringify(fields)}`, async () => {
      const { status, arrived } = await send('GET', withCookie(`${handshake}${fields}`));
      assert.deepEqual({ status, arrived }, { status: 403, arrived: 0 });
    });
  }

  for (const fields of [
    'Origin: {own}',
    'Origin: {own}\r\nSec-Fetch-Site: same-origin',
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-Site: none',
    'X: y',
  ])
    it(`is none with ${JSON.stringify(fields)}`, async () => {
      assert.equal((await send('POST', withCookie(fields))).status, 200);
      assert.equal((await send('GET', withCookie(handshake + fields))).status, 101);
    });

  it('may be read from, and is no matter for whoever sends a bearer token', async () => {
    const evil = 'Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n';
    for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal((await send(method, withCookie(evil))).status, 200);
    const token = await rig.provider.accessToken();
    for (const name of ['Authorization', 'flyte-authorization'])
      assert.equal((await send('POST', `${name}: Bearer ${token}\r\n${evil}`)).status, 200);
  });

  it('may not call gRPC with a person’s cookie', async () => {
    const path = '/flyteidl.service.AdminService/ListProjects';
    const before = upstream.requests.length;
    const answer = await callOverHttp2(front.grpcUrl, path, { cookie, origin: 'https://evil.example' });
    assert.equal(answer['grpc-status'], '7');
    assert.equal(upstream.requests.length, before);
    await callOverHttp2(front.grpcUrl, path, { cookie, origin: new URL(front.url).origin });
    assert.equal(upstream.requests.length, before + 1);
  });

  for (const upgrade of ['h2c', 'websocket, h2c', 'h2c, websocket', 'TLS/1.0'])
    it(`nor anybody else gets a tunnel by Upgrade: ${upgrade}`, async () => {
      const arrived = upstream.next();
      const fields = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA`;
      assert.equal((await send('GET', withCookie(fields))).status, 200);
      const names = (await arrived).fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
      assert.ok(!names.includes('upgrade') && !names.includes('http2-settings'), names.join());
    });
});
