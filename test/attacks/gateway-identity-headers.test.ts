import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, type Received, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

/** Spellings by which some server behind reads who is asking. The value is always one that nobody is. */
const forged = [
  'X-Auth-Request-User: root',
  'x-auth-request-user: root',
  'X-AUTH-REQUEST-USER: root',
  'X_Auth_Request_User: root',
  'X-Auth_Request-User: root',
  'X.Auth.Request.User: root',
  'X-Auth-Request-User: root\r\nX-Auth-Request-User: root',
  'X-Auth-Request-Email: root@example.com',
  'X-Auth-Request-Groups: root',
  'X-Auth-Request-Access-Token: root',
  'X-Auth-Request-Anything: root',
  'X-Amzn-Oidc-Data: root',
  'X_Amzn_Oidc_Identity: root',
  'X-Amzn-Oidc-Accesstoken: root',
  'X-Flytegate-Assertion: root',
  'X_Flytegate_Assertion: root',
  'X-User-Subject: root',
  'X_USER_SUBJECT: root',
  'X-User-Claim-Department: root',
  'X-Forwarded-User: root',
  'X-Forwarded-Email: root',
  'X-Forwarded-Groups: root',
  'X_Forwarded_User: root',
  'Connection: X-Auth-Request-User, X-User-Subject\r\nX-Auth-Request-User: root',
  'X-Forwarded-For: root',
  'X-Forwarded-Proto: root',
  'X-Forwarded-Host: root',
  'Forwarded: for=root',
  'X-Original-URL: /root',
  'X-Original-Method: root',
  'Authorization: Basic root',
  'Proxy-Authorization: Basic root',
  'Set-Cookie: __Host-flytegate=root',
] as const;

describe('a caller who says who they are', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({
      upstream: upstream.url,
      behaviour: { person: { sub: 'ada' } },
      settings: {
        routes: [
          { path: '/public', upstream: 'control-plane', access: 'public' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
    ({ cookie } = await rig.signIn());
  });
  const at = () => ({ host: '127.0.0.1', port: rig.port });
  const head = (path: string, fields: string) =>
    `GET ${path} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nCookie: ${cookie}\r\n${fields}\r\n`;

  for (const [path, ours] of [
    ['/private', ['x-auth-request-user: ada', 'x-user-subject: ada']],
    ['/public', []],
  ] as const) {
    for (const fields of forged) {
      it(`is not believed by HTTP/1.1 at ${path}: ${JSON.stringify(fields)}`, async () => {
        const arrived = upstream.next();
        const more = fields.startsWith('Connection') ? '' : 'Connection: close\r\n';
        const answered = exchangeRaw(
          at(),
          head(path, `${fields}\r\n${more}`) + (more ? '' : head(path, 'Connection: close\r\n')),
        );
        assertOnly(await arrived, ours);
        assert.match(await answered, /^HTTP\/1\.1 200 /);
      });
    }

    it(`is not believed by HTTP/2 at ${path}, all spellings at once`, async () => {
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const pairs = forged.flatMap((one) => one.split('\r\n').map((line) => line.split(': ', 2)));
      const fields = Object.fromEntries(
        pairs.filter(([name]) => name !== 'Connection').map(([name = '', value]) => [name.toLowerCase(), value]),
      );
      const arrived = upstream.next();
      const stream = session.request({ ...fields, ':path': path, ':authority': `localhost:${rig.port}`, cookie });
      const [answer] = await once(stream, 'response');
      assert.equal(answer[':status'], 200);
      session.destroy();
      assertOnly(await arrived, ours);
    });

    it(`is not believed in trailers at ${path}`, async () => {
      const arrived = upstream.next();
      const trailers = forged.filter((one) => one.startsWith('X')).join('\r\n');
      const body = `1\r\na\r\n0\r\n${trailers}\r\n\r\n`;
      const post = head(path, `Transfer-Encoding: chunked\r\nTrailer: X-Auth-Request-User\r\nConnection: close\r\n`);
      await exchangeRaw(at(), post.replace('GET', 'POST') + body);
      const received = await arrived;
      await received.body;
      assertOnly(received, ours);
      assert.doesNotMatch(received.trailers().join('\n'), /root/);
    });
  }

  it('is not believed in a WebSocket handshake', async () => {
    const arrived = upstream.next();
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
    const plain = forged.filter((one) => !one.startsWith('Connection'));
    const answered = exchangeRaw(at(), head('/socket', `${upgrade}${plain.join('\r\n')}\r\n`));
    assertOnly(await arrived, ['x-auth-request-user: ada', 'x-user-subject: ada']);
    await rig.stop();
    await answered;
  });
});

/** Nothing forged arrived, and of identity exactly what the gateway says. */
function assertOnly(received: Received, ours: readonly string[]): void {
  const lines = received.fields.flatMap((name, i, all) => (i % 2 ? [] : [`${name.toLowerCase()}: ${all[i + 1]}`]));
  assert.deepEqual(
    lines.filter((line) => line.includes('root')),
    [],
  );
  const identity = lines.filter((line) =>
    /^x[-_.](auth[-_.]request|user|amzn|flytegate|forwarded[-_.](user|email|groups))/.test(line),
  );
  assert.deepEqual(identity.sort(), [...ours].sort());
}
