import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { compactVerify, createLocalJWKSet, decodeJwt } from 'jose';
import { type EchoUpstream, type Received, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { connectRaw } from '../server/raw-connection.ts';
import { ask } from './ask.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';
import { oneOf, toldOf, upstreamsAt } from './told.ts';

let upstream: EchoUpstream;
before(async () => {
  upstream = await startEchoUpstream();
  endLater(upstream.close);
});

const silent = { identityHeaders: [] } as const;
const ways = {
  verified: { ...silent },
  none: { ...silent, upstreamAuthorization: 'none' },
  session: { ...silent, upstreamAuthorization: 'session-token' },
  service: { ...silent, upstreamAuthorization: 'service-app' },
} as const;

async function startOne(options: Partial<Parameters<typeof startFakeRig>[0]> = {}): Promise<FakeRig> {
  const { upstreams, routes } = upstreamsAt(upstream.url, ways);
  return startFakeRig({
    upstream: upstream.url,
    files: { 'secrets/client_secret': 'the service secret' },
    ...options,
    settings: {
      upstreams: { ...upstreams, h2: { ...ways.session, url: upstream.url.replace('http:', 'h2c:') } },
      routes: [
        ...routes,
        { path: '/h2', upstream: 'h2' },
        { path: '/session/public', upstream: 'session', access: 'public' },
        { path: '/service/public', upstream: 'service', access: 'public' },
      ],
      'session.store': 'memory',
      'serviceApp.clientId': 'us',
      ...options.settings,
    },
  });
}

async function arrivedAt(rig: FakeRig, path: string, fields: Record<string, string>): Promise<Received> {
  const arriving = upstream.next();
  assert.equal((await rig.ask(path, { fields })).status, 200);
  return arriving;
}

const credentialsAt = async (rig: FakeRig, path: string, fields: Record<string, string>) =>
  toldOf(await arrivedAt(rig, path, fields)).map(([name, value]) => [name.toLowerCase(), value]);

describe('upstreamAuthorization, of a caller with a bearer token,', () => {
  let rig: FakeRig;
  let bearer: string;
  before(async () => {
    rig = await startOne();
    bearer = `Bearer ${await rig.provider.accessToken()}`;
  });

  it('verified: passes it on as it came, and nothing else', async () => {
    for (const name of ['authorization', 'flyte-authorization'])
      assert.deepEqual(await credentialsAt(rig, '/verified', { [name]: bearer }), [[name, bearer]]);
    const mixed = { authorization: 'Basic c3Bvb2Y6', 'flyte-authorization': bearer };
    assert.deepEqual(await credentialsAt(rig, '/verified', mixed), [['flyte-authorization', bearer]]);
  });

  it('none: passes on none of the credentials', async () => {
    const fields = { authorization: bearer, 'flyte-authorization': bearer };
    assert.deepEqual(await credentialsAt(rig, '/none', fields), []);
  });

  it('session-token: is found in authorization, whichever header it came in', async () => {
    assert.deepEqual(await credentialsAt(rig, '/session', { authorization: bearer }), [['authorization', bearer]]);
    assert.deepEqual(await credentialsAt(rig, '/session', { 'flyte-authorization': bearer }), [
      ['flyte-authorization', bearer],
      ['authorization', bearer],
    ]);
  });

  it('service-app: never passes it on, only ours', async () => {
    const fields = { authorization: bearer, 'flyte-authorization': bearer };
    const [[name, ours] = [], second] = await credentialsAt(rig, '/service', fields);
    assert.equal(second, undefined);
    assert.equal(name, 'authorization');
    assert.notEqual(ours, bearer);
    assert.equal(decodeJwt(ours?.slice('Bearer '.length) ?? '').sub, 'us');
  });
});

describe('upstreamAuthorization: session-token, of a browser session,', () => {
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    rig = await startOne();
    ({ cookie } = await rig.signIn('/session'));
  });
  const tokenAt = async (path: string, fields: Record<string, string> = { cookie }) => {
    const value = oneOf(await arrivedAt(rig, path, fields), 'authorization') ?? '';
    assert.match(value, /^Bearer /);
    return value.slice('Bearer '.length);
  };

  it('sends the access token that the person signed in with', async () => {
    const token = await tokenAt('/session');
    const { keys } = (await ask(`${rig.issuer}/jwks`)).json();
    const jwks = createLocalJWKSet({ keys: keys as [] });
    await compactVerify(token, jwks);
    const { sub, client_id } = decodeJwt(token);
    assert.deepEqual([sub, client_id], ['ada', 'web']);
    assert.equal(await tokenAt('/h2'), token);
  });

  it('sends it in place of what the caller put there, in a WebSocket handshake, too', async () => {
    const token = await tokenAt('/session');
    for (const spoof of ['Basic cm9vdDo=', 'Digest x', ''])
      assert.equal(await tokenAt('/session', { cookie, authorization: spoof }), token);
    const arriving = upstream.next();
    const handshake =
      'Connection: Upgrade, Authorization\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
    const head = `GET /session HTTP/1.1\r\nHost: localhost:${rig.port}\r\nCookie: ${cookie}\r\nAuthorization: Basic x\r\n`;
    const connection = await connectRaw({ host: '127.0.0.1', port: rig.port });
    connection.send(`${head}${handshake}\r\n`);
    assert.equal(oneOf(await arriving, 'authorization'), `Bearer ${token}`);
    await connection.until('101 Switching');
    connection.socket.destroy();
  });

  it('sends the newest one after a renewal', async () => {
    const token = await tokenAt('/session');
    rig.move(4.6 * 60_000);
    const next = await tokenAt('/session');
    assert.notEqual(next, token);
    assert.ok((decodeJwt(next).exp ?? 0) > (decodeJwt(token).exp ?? 0));
    assert.equal(await tokenAt('/session'), next);
  });

  it('sends none elsewhere: to other upstreams, on public routes, to the browser', async () => {
    const token = await tokenAt('/session');
    for (const path of ['/verified', '/none', '/session/public'])
      assert.deepEqual(await credentialsAt(rig, path, { cookie }), [], path);
    const { text, fields } = await rig.ask('/me', { fields: { cookie } });
    assert.ok(!text.includes(token) && !fields.join('\n').includes(token));
    assert.ok(!rig.log.text().includes(token));
    assert.ok(!rig.log.text().includes('eyJ'));
  });

  it('sends none after the person signed out', async () => {
    const { cookie: leaving } = await rig.signIn('/session');
    await tokenAt('/session', { cookie: leaving });
    await rig.ask('/logout', { fields: { cookie: leaving } });
    const count = upstream.requests.length;
    assert.equal((await rig.ask('/session', { fields: { cookie: leaving } })).status, 401);
    assert.equal(upstream.requests.length, count);
  });
});

describe('upstreamAuthorization: service-app', () => {
  let rig: FakeRig;
  let fields: Record<string, string>;
  const minuteMs = 60_000;
  before(async () => {
    rig = await startOne();
    // Good for all these suites: what dies here is the service app's own.
    const exp = Math.floor(Date.now() / 1000) + 86_400;
    fields = { authorization: `Bearer ${await rig.provider.accessToken({ exp })}` };
  });
  const tokenNow = async () => oneOf(await arrivedAt(rig, '/service', fields), 'authorization');
  const asked = () => rig.provider.tokenRequests.filter((one) => one.get('grant_type') === 'client_credentials');

  it('gets its token by client credentials, for its scopes, and keeps it', async () => {
    const first = await tokenNow();
    assert.equal(await tokenNow(), first);
    assert.equal(asked().length, 1);
    assert.equal(asked()[0]?.get('scope'), 'all');
  });

  it('is sent for sessions, too, and never to anybody who was not let in', async () => {
    const { cookie } = await rig.signIn('/verified');
    const arrived = await arrivedAt(rig, '/service', { cookie });
    assert.equal(oneOf(arrived, 'authorization'), await tokenNow());
    assert.deepEqual(await credentialsAt(rig, '/service/public', fields), []);
    const count = upstream.requests.length;
    assert.equal((await rig.ask('/service')).status, 401);
    assert.equal(upstream.requests.length, count);
  });

  it('is renewed ahead of its end, while nobody waits', async () => {
    const first = await tokenNow();
    const before = asked().length;
    const fetched = rig.log.of('service_token.fetched').length;
    const calls = rig.provider.calls.token;
    rig.move(2.6 * minuteMs);
    const release = rig.provider.hold('token');
    assert.equal(await tokenNow(), first);
    await rig.provider.whenAsked('token', calls + 1);
    assert.equal(await tokenNow(), first);
    release();
    await rig.log.until(() => rig.log.of('service_token.fetched').length > fetched);
    const second = await tokenNow();
    assert.notEqual(second, first);
    assert.equal(asked().length, before + 1);
  });

  it('is asked for once, however many wait for it', async () => {
    rig.move(6 * minuteMs);
    const before = asked().length;
    const release = rig.provider.hold('token');
    const calls = rig.provider.calls.token;
    const from = upstream.requests.length;
    const answers = Array.from({ length: 100 }, () => rig.ask('/service', { fields }));
    await rig.provider.whenAsked('token', calls + 1);
    release();
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    assert.equal(asked().length, before + 1);
    const sent = upstream.requests.slice(from).map((one) => oneOf(one, 'authorization'));
    assert.deepEqual([sent.length, new Set(sent).size], [100, 1]);
  });

  it('outlives an outage until it dies; then nobody could tell, and it comes back by itself', async () => {
    const first = await tokenNow();
    rig.provider.behaviour.answers.token = { status: 503 };
    rig.move(2.6 * minuteMs);
    assert.equal(await tokenNow(), first);
    await rig.log.until(({ event }) => event === 'service_token.failed');
    rig.move(2.5 * minuteMs);
    const count = upstream.requests.length;
    const refused = await rig.ask('/service', { fields });
    assert.equal(refused.status, 503);
    assert.equal(refused.json()['code'], 'unavailable');
    assert.doesNotMatch(refused.text, /unauth/);
    const grpc = await rig.ask('/service/Method', {
      method: 'POST',
      fields: { ...fields, 'content-type': 'application/grpc-web+proto' },
    });
    assert.equal(grpc.one('grpc-status'), '14');
    assert.equal(upstream.requests.length, count, 'nothing went up without it');
    const calls = rig.provider.calls.token;
    for (let i = 0; i < 20; i++) assert.equal((await rig.ask('/service', { fields })).status, 503);
    assert.ok(rig.provider.calls.token <= calls + 1, 'the provider is left alone meanwhile');
    delete rig.provider.behaviour.answers.token;
    rig.move(6000);
    assert.notEqual(await tokenNow(), first);
  });

  for (const [what, body] of [
    ['of another type', { access_token: 'a', token_type: 'dpop', expires_in: 300 }],
    ['that would break out of its header', { access_token: 'a\r\nX-User-Subject: root', token_type: 'bearer' }],
    ['over 8 KiB', { access_token: 'a'.repeat(8193), token_type: 'bearer' }],
    ['that is dead', { access_token: 'a', token_type: 'bearer', expires_in: 0 }],
    ['that there is none of', { token_type: 'bearer' }],
  ] as const)
    it(`is never one ${what}`, async () => {
      rig.move(10 * minuteMs);
      const fields200 = { 'content-type': 'application/json' };
      rig.provider.behaviour.answers.token = { status: 200, fields: fields200, body: JSON.stringify(body) };
      const count = upstream.requests.length;
      assert.equal((await rig.ask('/service', { fields })).status, 503);
      assert.equal(upstream.requests.length, count);
      delete rig.provider.behaviour.answers.token;
      rig.move(6000);
      assert.notEqual(await tokenNow(), undefined);
    });

  it('stands in no log line, nor does its secret', () => {
    assert.ok(!rig.log.text().includes('eyJ'));
    assert.ok(!rig.log.text().includes('the service secret'));
  });
});

describe('serviceApp.tokenUrl', () => {
  it('is where the token comes from, with the secret, and the metadata’s endpoint is left alone', async () => {
    const tokens = await startEchoUpstream({
      kind: 'reply',
      status: 200,
      fields: ['Content-Type', 'application/json'],
      body: '{"access_token":"opaque-1","token_type":"Bearer","expires_in":300}',
    });
    endLater(tokens.close);
    const settings = { 'serviceApp.tokenUrl': `${tokens.url}/token`, 'serviceApp.scopes': ['a', 'b'] };
    const rig = await startOne({ settings });
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const arrived = await arrivedAt(rig, '/service', { authorization });
    assert.equal(oneOf(arrived, 'authorization'), 'Bearer opaque-1');
    const [request] = tokens.requests;
    assert.equal((await request?.body)?.toString(), 'scope=a+b&grant_type=client_credentials');
    const basic = Buffer.from('us:the+service+secret').toString('base64');
    const index = request?.fields.findIndex((name) => name.toLowerCase() === 'authorization') ?? -1;
    assert.equal(request?.fields[index + 1], `Basic ${basic}`);
    assert.equal(rig.provider.tokenRequests.length, 0);
  });

  for (const [what, behaviour, sent] of [
    [
      'in the form, where the metadata knows no other way',
      { metadata: { token_endpoint_auth_methods_supported: ['client_secret_post'] } },
      'scope=all&grant_type=client_credentials&client_id=us&client_secret=the+service+secret',
    ],
    [
      'in a header, where the metadata cannot be had',
      { answers: { discovery: { status: 404 } } },
      'scope=all&grant_type=client_credentials',
    ],
  ] as const)
    it(`is sent the secret ${what}`, async () => {
      const tokens = await startEchoUpstream({
        kind: 'reply',
        status: 200,
        fields: ['Content-Type', 'application/json'],
        body: '{"access_token":"opaque-1","token_type":"Bearer","expires_in":300}',
      });
      endLater(tokens.close);
      const asked = tokens.next();
      const once = { 'auth.appAuth.externalAuthServer.retryAttempts': 1 };
      await startOne({ settings: { 'serviceApp.tokenUrl': `${tokens.url}/token`, ...once }, behaviour });
      const request = await asked;
      assert.equal((await request.body).toString(), sent);
      const isBasic = request.fields.some((name) => name.toLowerCase() === 'authorization');
      assert.equal(isBasic, !sent.includes('client_secret'));
    });
});

describe('serviceApp.tokenUrl, while the provider hangs over its metadata', { timeout: 30_000 }, () => {
  it('is asked all the same, and soon', async () => {
    const tokens = await startEchoUpstream({ kind: 'reply', status: 503, fields: [], body: '' });
    endLater(tokens.close);
    const asked = tokens.next();
    // Longer than this test may take, like the time that metadata may.
    const settings = { 'serviceApp.tokenUrl': `${tokens.url}/token`, 'auth.timeout': '1m' };
    await startOne({ settings, behaviour: { latencyMs: { discovery: 60_000 } } });
    const request = await asked;
    assert.equal((await request.body).toString(), 'scope=all&grant_type=client_credentials');
  });
});

describe('serviceApp.audience', () => {
  it('is asked for, and by default no audience is', async () => {
    for (const audience of [undefined, 'https://flyte.example.com']) {
      const rig = await startOne({ settings: audience === undefined ? {} : { 'serviceApp.audience': audience } });
      const authorization = `Bearer ${await rig.provider.accessToken()}`;
      await arrivedAt(rig, '/service', { authorization });
      assert.equal(rig.provider.tokenRequests[0]?.get('audience') ?? undefined, audience);
    }
  });
});
