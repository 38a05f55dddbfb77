import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { headBytes } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

/** What each kind of client says of itself; every one of them reaches `/me` through nginx. */
const callers: readonly (readonly [what: string, fields: Readonly<Record<string, string>>])[] = [
  ['a navigation', { 'sec-fetch-mode': 'navigate', accept: 'text/html' }],
  ['an XHR', { 'sec-fetch-mode': 'cors', 'x-requested-with': 'XMLHttpRequest' }],
  ['gRPC', { 'content-type': 'application/grpc', te: 'trailers' }],
  ['gRPC with a codec', { 'content-type': 'application/grpc+proto', te: 'trailers' }],
  ['gRPC-Web', { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' }],
  ['gRPC-Web text', { 'content-type': 'application/grpc-web-text' }],
  ['Connect', { 'content-type': 'application/proto', 'connect-protocol-version': '1' }],
  ['a Connect stream', { 'content-type': 'application/connect+json', 'connect-protocol-version': '1' }],
  ['a WebSocket handshake', { 'sec-websocket-key': 'x', 'sec-websocket-version': '13', 'sec-fetch-mode': 'websocket' }],
];

describe('/me', () => {
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    rig = await startFakeRig({
      behaviour: {
        person: {
          sub: 'ada',
          name: '王 Ada',
          preferred_username: 'ada',
          email: 'ada@example.com',
          email_verified: true,
          groups: ['a', 'b,c', 'd'],
          department: 'engines',
          secret_claim: 'not named',
        },
      },
      settings: {
        'identityHeaders.claims': ['department'],
        routes: [
          { host: 'app.example.com', path: '/', upstream: 'control-plane' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
    ({ cookie } = await rig.signIn());
  });

  it('says who somebody is with flyteadmin’s field names, every one present', async () => {
    const answer = await rig.ask('/me', { fields: { cookie } });
    assert.equal(answer.status, 200);
    assert.equal(answer.one('content-type'), 'application/json');
    assert.deepEqual(answer.json(), {
      subject: 'ada',
      name: '王 Ada',
      preferred_username: 'ada',
      given_name: '',
      family_name: '',
      email: 'ada@example.com',
      picture: '',
      additional_claims: { department: 'engines' },
    });
  });

  it('says it in headers for nginx, X-Accel-Expires before Cache-Control, and no token', async () => {
    const answer = await rig.ask('/me', { fields: { cookie } });
    assert.deepEqual(answer.fields.slice(0, 4), ['X-Accel-Expires', '10', 'Cache-Control', 'private, no-store']);
    assert.equal(answer.one('x-auth-request-user'), 'ada');
    assert.equal(answer.one('x-user-subject'), 'ada');
    assert.equal(answer.one('x-auth-request-email'), 'ada@example.com');
    assert.equal(answer.one('x-auth-request-groups'), 'a,d', 'a group with a comma would be read as two');
    assert.equal(answer.one('x-user-claim-department'), '"engines"');
    assert.doesNotMatch(answer.fields.join('\n'), /secret_claim|not named|eyJ/);
    assert.deepEqual(answer.all('set-cookie'), []);
  });

  it('answers HEAD like GET, without the body', async () => {
    const get = await rig.ask('/me', { fields: { cookie } });
    const head = await rig.ask('/me', { method: 'HEAD', fields: { cookie } });
    const isOfConnection = (name = '') => ['Date', 'Connection', 'Keep-Alive'].includes(name);
    const without = (fields: readonly string[]) => fields.filter((_, i) => !isOfConnection(fields[i - (i % 2)]));
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.deepEqual(without(head.fields), without(get.fields));
    assert.equal((await rig.ask('/me', { method: 'HEAD' })).status, 401);
  });

  for (const [what, fields] of callers) {
    it(`answers ${what} in plain statuses only`, async () => {
      const none = await rig.ask('/me', { fields });
      assert.equal(none.status, 401);
      assert.equal(none.one('www-authenticate'), 'Bearer realm="flyte"', 'no error= where no token came');
      assert.equal(none.fields[none.fields.indexOf('X-Accel-Expires') + 1], '0');
      assert.equal(none.one('grpc-status'), undefined);
      const bad = await rig.ask('/me', { fields: { ...fields, authorization: 'Bearer bad' } });
      assert.equal(bad.status, 401);
      assert.match(bad.one('www-authenticate') ?? '', /error="invalid_token"/);
      assert.equal((await rig.ask('/me', { fields: { ...fields, cookie } })).status, 200);
    });
  }

  it('does not care what nginx says that the original request was', async () => {
    const fields = { 'x-original-url': `${rig.url}/healthcheck`, 'x-original-method': 'GET', 'x-forwarded-proto': '' };
    assert.equal((await rig.ask('/me', { fields })).status, 401);
    assert.equal((await rig.ask('/me', { fields: { ...fields, cookie } })).status, 200);
  });

  it('belongs to the app behind on a Host that has routes of its own', async () => {
    const answer = await rig.ask('/me', { fields: { host: 'app.example.com', cookie } });
    assert.equal(answer.status, 404);
    assert.equal(answer.json()['error'], 'nothing here', 'the control plane’s own words');
    const stranger = await rig.ask('/me', { fields: { host: 'app.example.com' } });
    assert.equal(stranger.status, 401);
  });

  it('is refused on every other Host, so that no service behind says 200 in its place', async () => {
    for (const fields of [
      { host: 'made-up.test', cookie },
      { host: 'made-up.test' },
      { host: `localhost:${rig.port + 1}` },
    ])
      assert.equal((await rig.ask('/me', { fields })).status, 403);
  });

  it('is not taken from X-Forwarded-Host of a peer that nobody trusts', async () => {
    const host = { 'x-forwarded-host': `localhost:${rig.port}` };
    const inApp = await rig.ask('/me', { fields: { ...host, host: 'app.example.com', cookie } });
    assert.equal(inApp.json()['error'], 'nothing here');
    assert.equal((await rig.ask('/me', { fields: { ...host, host: 'made-up.test', cookie } })).status, 403);
  });

  it('is 503 and keeps the cookie when it cannot tell', async () => {
    const signedIn = await rig.signIn();
    rig.move(301_000);
    rig.provider.behaviour.answers.token = { status: 503 };
    const answer = await rig.ask('/me', { fields: { cookie: signedIn.cookie } });
    delete rig.provider.behaviour.answers.token;
    assert.equal(answer.status, 503);
    assert.deepEqual(answer.all('set-cookie'), []);
    assert.equal(answer.one('x-accel-expires'), '0');
    assert.doesNotMatch(answer.text, /unauth/);
  });

  it('is asked for often without another line in the log than at debug', async () => {
    await rig.ask('/me', { fields: { cookie } });
    const lines = rig.log.of('me.allowed');
    assert.ok(lines.length > 0 && lines.every((line) => line['level'] === 'debug'));
  });
});

describe('/me of somebody in many groups', () => {
  it('leaves out the groups when a renewed cookie needs the room, says so in the log, and never who it is', async () => {
    const rig = await startFakeRig({
      behaviour: {
        person: {
          sub: 'ada',
          email: 'ada@example.com',
          email_verified: true,
          picture: `https://example.com/${'x'.repeat(480)}`,
          name: 'A'.repeat(90),
          groups: Array.from({ length: 60 }, (_, i) => `group-number-${10 + i}`),
        },
      },
    });
    const { cookie } = await rig.signIn();
    const usual = await rig.ask('/me', { fields: { cookie } });
    assert.equal(usual.one('x-auth-request-groups')?.split(',').length, 60);
    assert.equal(rig.log.of('me.headers_left_out').length, 0);
    rig.move(4.6 * 60_000);
    const renewed = await rig.ask('/me', { fields: { cookie } });
    assert.equal(renewed.status, 200);
    assert.equal(renewed.all('set-cookie').length, 1);
    assert.ok(headBytes(renewed) <= 3584, `${headBytes(renewed)} bytes`);
    for (const name of ['x-user-subject', 'x-auth-request-user']) assert.equal(renewed.one(name), 'ada');
    assert.equal(renewed.one('x-auth-request-email'), 'ada@example.com');
    assert.equal(renewed.one('x-auth-request-groups'), undefined);
    assert.deepEqual(
      rig.log.of('me.headers_left_out').map(({ level, headers }) => [level, headers]),
      [['warn', ['X-Auth-Request-Groups']]],
    );
    const next = renewed.one('set-cookie')?.split(';')[0] ?? '';
    const after = await rig.ask('/me', { fields: { cookie: next } });
    assert.equal(after.one('x-auth-request-groups')?.split(',').length, 60);
  });
});
