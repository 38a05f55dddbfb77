import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { connectRaw } from '../server/raw-connection.ts';

type Fields = Readonly<Record<string, string | string[]>>;

const unsafe = ['POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** How a browser, or somebody in its place, says that a page of another origin is behind a request. */
const foreign: Readonly<Record<string, (rig: FakeRig) => Fields>> = {
  'another site': () => ({ origin: 'https://evil.test' }),
  'no origin at all': () => ({ origin: 'null' }),
  'an empty Origin': () => ({ origin: '' }),
  'another port': (rig) => ({ origin: `http://localhost:${rig.port + 1}` }),
  'no port': () => ({ origin: 'http://localhost' }),
  'another scheme': (rig) => ({ origin: rig.url.replace('http', 'https') }),
  'a host that begins alike': (rig) => ({ origin: `${rig.url}.evil.test` }),
  'a host that ends alike': (rig) => ({ origin: `http://evil-localhost:${rig.port}` }),
  'a path behind the origin': (rig) => ({ origin: `${rig.url}/` }),
  'two Origins, one of them ours': (rig) => ({ origin: [rig.url, 'https://evil.test'] }),
  'Sec-Fetch-Site: cross-site': () => ({ 'sec-fetch-site': 'cross-site' }),
  'Sec-Fetch-Site: same-site': () => ({ 'sec-fetch-site': 'same-site' }),
  'another site that Sec-Fetch-Site does not admit': () => ({
    origin: 'https://evil.test',
    'sec-fetch-site': 'same-origin',
  }),
};

describe('a page of another origin that makes a browser act with its cookie', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let cookie: string;
  let authorization: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({ upstream: upstream.url });
    ({ cookie } = await rig.signIn());
    authorization = `Bearer ${await rig.provider.accessToken()}`;
  });
  const statuses = async (methods: readonly string[], fields: Fields, path = '/page') => {
    const all = methods.map(async (method) => (await rig.ask(path, { method, fields })).status);
    return [...new Set(await Promise.all(all))];
  };
  /** The status of a WebSocket handshake. */
  const shakeHands = async (fields: Fields) => {
    const connection = await connectRaw({ host: '127.0.0.1', port: rig.port });
    const own = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
    connection.send(
      `GET /socket HTTP/1.1\r\nHost: localhost:${rig.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${own.join('')}\r\n`,
    );
    const head = await connection.until('\r\n\r\n');
    connection.socket.destroy();
    return Number(head.split(' ')[1]);
  };

  for (const [what, fieldsOf] of Object.entries(foreign)) {
    it(`is refused unsafe methods and WebSockets, and the upstream hears of neither: ${what}`, async () => {
      const fields = { ...fieldsOf(rig), cookie };
      const before = upstream.requests.length;
      assert.deepEqual(await statuses(unsafe, fields), [403]);
      assert.equal(await shakeHands(fields), 403);
      assert.equal(upstream.requests.length, before);
    });

    it(`is refused unsafe methods on /me: ${what}`, async () => {
      assert.deepEqual(await statuses(unsafe, { ...fieldsOf(rig), cookie }, '/me'), [403]);
    });

    it(`may read what its browser would let it: ${what}`, async () => {
      const fields = { ...fieldsOf(rig), cookie };
      assert.deepEqual(await statuses(['GET', 'HEAD', 'OPTIONS'], fields), [200]);
      assert.deepEqual(await statuses(['GET', 'HEAD'], fields, '/me'), [200]);
    });

    it(`may send a bearer, which no browser sends by itself: ${what}`, async () => {
      for (const bearer of [{ authorization }, { 'flyte-authorization': authorization }]) {
        const fields = { ...fieldsOf(rig), ...bearer, cookie };
        assert.deepEqual(await statuses(unsafe, fields), [200]);
        assert.deepEqual(await statuses(unsafe, fields, '/me'), [200]);
        assert.equal(await shakeHands(fields), 101);
      }
    });

    it(`has only to sign in without the cookie: ${what}`, async () => {
      assert.deepEqual(await statuses(unsafe, fieldsOf(rig)), [401]);
      assert.equal(await shakeHands(fieldsOf(rig)), 401);
    });
  }

  it('is told from our own pages and from programs, which may do all of it', async () => {
    const ours = [
      { origin: rig.url },
      { origin: `http://127.0.0.1:${rig.port}` },
      { origin: rig.url, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      {},
    ];
    for (const fields of ours) {
      assert.deepEqual(await statuses(unsafe, { ...fields, cookie }), [200], JSON.stringify(fields));
      assert.deepEqual(await statuses(unsafe, { ...fields, cookie }, '/me'), [200]);
      assert.equal(await shakeHands({ ...fields, cookie }), 101);
    }
  });

  it('is refused over HTTP/2 as well', async () => {
    const session = connectHttp2(rig.url);
    const status = async (origin: string) => {
      const stream = session.request({ ':method': 'POST', ':path': '/page', cookie, origin });
      stream.end();
      stream.resume();
      return new Promise((resolve) => stream.once('response', (head) => resolve(head[':status'])));
    };
    const both = [await status('https://evil.test'), await status(rig.url)];
    session.destroy();
    assert.deepEqual(both, [403, 200]);
  });

  it('is refused without being signed out, or told where to sign in', async () => {
    const answer = await rig.ask('/page', { method: 'POST', fields: { cookie, origin: 'https://evil.test' } });
    assert.deepEqual([answer.all('set-cookie'), answer.one('location')], [[], undefined]);
    assert.equal(answer.json()['code'], 'permission_denied');
  });
});
