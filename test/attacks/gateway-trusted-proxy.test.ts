import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { createBrowser } from '../fakes/browser.ts';
import { type EchoUpstream, type Received, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { connectRaw } from '../server/raw-connection.ts';

/** Its route is public: whoever is taken to ask for it needs no credential. */
const openHost = 'open.example.com';

for (const [who, trustedProxies, isTrusted] of [
  ['a peer that nobody trusts', ['10.0.0.0/8', '::1'], false],
  ['a trusted proxy', ['127.0.0.0/8'], true],
] as const) {
  describe(`what ${who} says of the request behind it`, () => {
    let upstream: EchoUpstream;
    let rig: FakeRig;
    let authorization: string;
    before(async () => {
      upstream = await startEchoUpstream();
      endLater(upstream.close);
      rig = await startFakeRig({
        upstream: upstream.url,
        settings: {
          'server.trustedProxies': trustedProxies,
          routes: [
            { host: openHost, path: '/', upstream: 'control-plane', access: 'public' },
            { path: '/', upstream: 'control-plane' },
          ],
        },
      });
      authorization = `Bearer ${await rig.provider.accessToken()}`;
    });
    const own = () => `localhost:${rig.port}`;

    it(`is ${isTrusted ? '' : 'not '}where /login leads back to (X-Auth-Request-Redirect)`, async () => {
      const fields = { 'x-auth-request-redirect': '/api/v1/runs?x=1' };
      const page = await createBrowser().open(`${rig.url}/login`, { fields });
      assert.equal(page.url.pathname + page.url.search, isTrusted ? '/api/v1/runs?x=1' : '/console');
    });

    it('is never a way to another host (X-Auth-Request-Redirect)', async () => {
      for (const evil of ['//evil.test', 'https://evil.test/', '/\\evil.test', '/%2f/evil.test']) {
        const answer = await rig.ask('/login', { fields: { 'x-auth-request-redirect': evil } });
        assert.equal(answer.status, isTrusted ? 403 : 302, evil);
        assert.doesNotMatch(answer.one('location') ?? '', /evil/);
      }
    });

    it('gives way to redirect_url (X-Auth-Request-Redirect)', async () => {
      const fields = { 'x-auth-request-redirect': '/theirs' };
      const page = await createBrowser().open(`${rig.url}/login?redirect_url=/ours`, { fields });
      assert.equal(page.url.pathname, '/ours');
    });

    it(`is ${isTrusted ? '' : 'not '}the request's name that upstreams hear (X-Request-ID)`, async () => {
      const arrived = upstream.next();
      await rig.ask('/page', { fields: { authorization, 'x-request-id': '8f3e-theirs' } });
      const told = valuesOf(await arrived, 'x-request-id');
      const [line] = rig.log.of('request.forwarded').slice(-1);
      assert.deepEqual(told, [isTrusted ? '8f3e-theirs' : line?.['id']]);
      assert.equal(line?.['requestId'], isTrusted ? '8f3e-theirs' : undefined);
    });

    for (const odd of ['', 'a b', 'x'.repeat(129), 'a"b', ['one', 'two'], ['same', 'same']])
      it(`is never the request's name when it has not the form of one: ${JSON.stringify(odd).slice(0, 20)}`, async () => {
        const arrived = upstream.next();
        await rig.ask('/page', { fields: { authorization, 'x-request-id': odd } });
        const [line] = rig.log.of('request.forwarded').slice(-1);
        assert.deepEqual(valuesOf(await arrived, 'x-request-id'), [line?.['id']]);
      });

    it('is its trace, which is carried untouched (W3C traceparent, tracestate)', async () => {
      const trace = {
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'congo=t61rcWkgMzE, rojo=00f067aa0ba902b7',
      };
      const arrived = upstream.next();
      await rig.ask('/page', { fields: { authorization, ...trace } });
      const received = await arrived;
      for (const [name, value] of Object.entries(trace)) assert.deepEqual(valuesOf(received, name), [value]);
    });

    it(`is ${isTrusted ? '' : 'not '}the address, scheme and host that upstreams hear of`, async () => {
      const said = {
        'x-forwarded-for': '198.51.100.7, 203.0.113.9',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'Flyte.Example.com:8443',
      };
      await rig.ask('/page', { fields: { ...said, authorization } });
      const names = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'host'];
      const heard = names.map((name) => valuesOf(upstream.requests.at(-1), name));
      const believed = [['203.0.113.9'], ['https'], ['flyte.example.com:8443'], ['flyte.example.com:8443']];
      assert.deepEqual(heard, isTrusted ? believed : [['127.0.0.1'], ['http'], [own()], [own()]]);
    });

    it(`is ${isTrusted ? '' : 'not '}the address in the log`, async () => {
      const fields = { 'x-forwarded-for': '203.0.113.10' };
      await rig.ask('/healthy', { fields: { ...fields, authorization } });
      await rig.ask('/me', { fields });
      const address = isTrusted ? '203.0.113.10' : '127.0.0.1';
      const forwarded = await rig.log.until((line) => line['path'] === '/healthy');
      const refused = await rig.log.until((line) => line['event'] === 'me.refused');
      assert.deepEqual([forwarded['client'], refused['client']], [address, address]);
    });

    it('is not believed of anything else: X-Real-IP, Forwarded, X-Original-URL, X-Forwarded-User', async () => {
      const said = {
        'x-real-ip': '203.0.113.9',
        forwarded: `for=203.0.113.9;host=${openHost};proto=https`,
        'x-original-url': '/me',
        'x-forwarded-user': 'root',
        'x-forwarded-uri': '/me',
        'x-forwarded-port': '443',
        'x-forwarded-prefix': '/x',
      };
      assert.equal((await rig.ask('/page', { fields: said })).status, 401);
      await rig.ask('/page', { fields: { ...said, authorization } });
      for (const name of Object.keys(said)) assert.deepEqual(valuesOf(upstream.requests.at(-1), name), [], name);
    });

    describe('as X-Forwarded-Host with the name of a public route', () => {
      const said = { 'x-forwarded-host': openHost };

      it(`${isTrusted ? 'chooses that route, and the upstream hears the same host' : 'chooses nothing'}`, async () => {
        const before = upstream.requests.length;
        const answer = await rig.ask('/page', { fields: said });
        assert.equal(answer.status, isTrusted ? 200 : 401);
        assertHosts(before, 'host');
      });

      it(`${isTrusted ? 'does so' : 'does not'} for a WebSocket`, async () => {
        const before = upstream.requests.length;
        const connection = await connectRaw({ host: '127.0.0.1', port: rig.port });
        connection.send(
          `GET /socket HTTP/1.1\r\nHost: ${own()}\r\nX-Forwarded-Host: ${openHost}\r\n` +
            'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
            'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
        );
        assert.match(await connection.until('\r\n\r\n'), isTrusted ? /^HTTP\/1\.1 101 / : /^HTTP\/1\.1 401 /);
        connection.socket.destroy();
        assertHosts(before, 'host');
      });

      it(`${isTrusted ? 'does so' : 'does not'} for gRPC`, async () => {
        const before = upstream.requests.length;
        const session = connectHttp2(rig.url);
        const grpc = { 'content-type': 'application/grpc', te: 'trailers' };
        const stream = session.request({ ':method': 'POST', ':path': '/a.Service/Method', ...grpc, ...said });
        stream.end();
        const status = await new Promise((resolve) => stream.once('response', (head) => resolve(head['grpc-status'])));
        session.destroy();
        assert.equal(status, isTrusted ? undefined : '16');
        assertHosts(before, ':authority');
      });

      for (const path of ['/me', '/login', '/callback', '/logout']) {
        it(`leaves ${path} ours where Host is an authorized URI: a service behind never answers there`, async () => {
          const before = upstream.requests.length;
          for (const host of [own(), `127.0.0.1:${rig.port}`]) {
            const { status } = await rig.ask(path, { fields: { ...said, host } });
            if (path === '/me') assert.equal(status, 401, 'a proxy in front would let the stranger in');
          }
          assert.equal(upstream.requests.length, before);
        });
      }

      function assertHosts(before: number, name: string): void {
        const asked = upstream.requests.slice(before);
        assert.deepEqual(
          asked.flatMap((one) => valuesOf(one, name)),
          isTrusted ? [openHost] : [],
        );
      }
    });
  });
}

function valuesOf(received: Received | undefined, name: string): readonly string[] {
  const fields = received?.fields ?? [];
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}
