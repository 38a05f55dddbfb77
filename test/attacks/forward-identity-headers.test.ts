import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { type Front, listen, startFront, talk } from '../forward/front.ts';
import { type RawUpstream, startRawUpstream } from '../forward/raw-upstream.ts';

const names = [
  'X-Auth-Request-User',
  'x-auth-request-user',
  'X_AUTH_REQUEST_USER',
  'X-Auth_Request-User',
  'X.Auth.Request.User',
  'X-Auth-Request-Anything',
  'X-Amzn-Oidc-Data',
  'X-Amzn-Oidc-Identity',
  'x_amzn_oidc_identity',
  'X-User-Subject',
  'X-User-Claim-Groups',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X_Forwarded_Groups',
  'X-Forwarded-For',
  'X-Original-URL',
  'X-Real-IP',
  'Forwarded',
];

const SPOOF = 'spoofed-value';

describe('a stranger who writes identity headers', () => {
  let upstream: RawUpstream;
  let door: Front;

  before(async () => {
    upstream = await startRawUpstream((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    const identity = ['X-Auth-Request-User', 'alice', 'X-User-Subject', 'alice'];
    door = await startFront({ upstream: { port: upstream.port }, plan: { identity } });
  });

  after(async () => {
    await door.close();
    await upstream.close();
  });

  async function seenFor(fields: string, body = ''): Promise<string> {
    const answer = await talk(
      door.http1Port,
      `POST / HTTP/1.1\r\nHost: h\r\n${fields}Connection: close\r\n\r\n${body}`,
    );
    assert.match(answer, /^HTTP\/1\.1 200 /);
    return upstream.received.at(-1) ?? '';
  }

  for (const name of names) {
    it(`is not believed for ${name}`, async () => {
      assert.ok(!(await seenFor(`${name}: ${SPOOF}\r\n`)).includes(SPOOF));
    });
  }

  it('is not believed for many of them, before and after the rest', async () => {
    const all = names.map((name) => `${name}: ${SPOOF}\r\n${name.toUpperCase()}: ${SPOOF}\r\n`).join('');
    const seen = await seenFor(`${all}X-Honest: 1\r\n${all}`);
    assert.ok(!seen.includes(SPOOF));
    assert.match(seen, /^X-Honest: 1\r$/m);
  });

  it('cannot have ours removed by naming them in Connection', async () => {
    const seen = await seenFor('Connection: X-Auth-Request-User, x-user-subject, X-Forwarded-For, X-Request-ID\r\n');
    assert.match(seen, /\r\nX-Auth-Request-User: alice\r\nX-User-Subject: alice\r\nX-Forwarded-For: 192\.0\.2\.7\r\n/);
    assert.match(seen, /\r\nX-Request-ID: ref-1\r\n/);
  });

  it('cannot smuggle them in as trailers of a chunked request', async () => {
    const trailers = names.map((name) => `${name}: ${SPOOF}\r\n`).join('');
    const seen = await seenFor('Transfer-Encoding: chunked\r\n', `2\r\nhi\r\n0\r\n${trailers}\r\n`);
    assert.ok(!seen.includes(SPOOF));
    assert.match(seen, /\r\n2\r\nhi\r\n0\r\n\r\n$/);
  });

  it('cannot smuggle them in as fields or trailers over HTTP/2, from either side', async () => {
    let seen: readonly string[] = [];
    const server = createHttp2();
    const sessions: { destroy(): void }[] = [];
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream, _headers, _flags, raw) => {
      seen = raw;
      stream.on('trailers', (_trailers, _trailerFlags, more) => {
        seen = [...seen, ...more];
      });
      stream.resume().on('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-user-id': SPOOF, 'x-honest': '1' }));
        stream.end();
      });
    });
    const port = await listen(server);
    const http2Door = await startFront({
      upstream: { port, protocol: 'h2c' },
      plan: { identity: ['X-Auth-Request-User', 'alice'] },
    });
    const session = connectHttp2(`http://127.0.0.1:${http2Door.http2Port}`);
    const lower = Object.fromEntries(names.map((name) => [name.toLowerCase(), SPOOF]));
    const stream = session.request({ ':method': 'POST', ':path': '/', ...lower }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ ...lower, 'x-honest': '1' }));
    stream.end('x');
    const [answerTrailers] = await once(stream.resume(), 'trailers');
    session.destroy();
    await http2Door.close();
    server.close();
    for (const each of sessions) each.destroy();
    assert.ok(!seen.includes(SPOOF));
    assert.deepEqual(seen.slice(-2), ['x-honest', '1']);
    assert.ok(seen.includes('alice'));
    assert.equal(answerTrailers['x-honest'], '1');
    assert.equal(answerTrailers['x-user-id'], undefined);
  });
});
