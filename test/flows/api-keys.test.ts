import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

const secret = 'S3cr3t-of/the+app==';
const keyOf = (parts: { endpoint?: string; client?: string; secret?: string; org?: string } = {}) => {
  const { endpoint = 'localhost', client = 'ci-app', org = 'acme' } = parts;
  return Buffer.from([endpoint, client, parts.secret ?? secret, org].join(':')).toString('base64');
};
const settings = { 'auth.apiKeys.enabled': true };
const behaviour = { clients: { 'ci-app': secret, 'other-app': 'another' } };
const minuteMs = 60_000;

const send = (rig: FakeRig, key: string, name = 'authorization') =>
  rig.ask('/api/v1/whoami', { fields: { [name]: `Bearer ${key}` } });

describe('an API key as bearer', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig({ settings, behaviour });
  });

  for (const name of ['authorization', 'flyte-authorization']) {
    it(`gets its app through by ${name}`, async () => {
      const answer = await send(rig, keyOf(), name);
      assert.equal(answer.status, 200);
      assert.equal(Object(answer.json()['identity'])['x-auth-request-user'], 'ci-app');
      assert.equal((await rig.ask('/me', { fields: { [name]: `Bearer ${keyOf()}` } })).status, 200);
    });

    it(`reaches no upstream by ${name}, nor does the token that it was exchanged for`, async () => {
      const { headers } = (await send(rig, keyOf(), name)).json();
      assert.equal(Object(headers)[name], undefined);
      assert.ok(!JSON.stringify(headers).includes(secret) && !JSON.stringify(headers).includes('eyJ'));
    });
  }

  it('was exchanged once for all of these, for the scope of the settings', () => {
    assert.equal(rig.provider.tokenRequests.length, 1);
    assert.equal(rig.provider.tokenRequests[0]?.get('scope'), 'all');
    assert.equal(rig.provider.tokenRequests[0]?.get('grant_type'), 'client_credentials');
  });

  it('is told and logged as an app', async () => {
    await rig.ask('/api/v1/projects', { fields: { authorization: `Bearer ${keyOf()}` } });
    const line = await rig.log.until((one) => one['path'] === '/api/v1/projects');
    assert.equal(line['kind'], 'app');
  });

  for (const endpoint of ['https://localhost', 'http://localhost', 'dns:///localhost', 'LOCALHOST', '127.0.0.1'])
    it(`names our host as ${endpoint}`, async () => assert.equal((await send(rig, keyOf({ endpoint }))).status, 200));

  for (const endpoint of ['localhost:8443', 'https://localhost:8443/', 'https://localhost/'])
    it(`names our host as ${endpoint}`, async () => assert.equal((await send(rig, keyOf({ endpoint }))).status, 200));

  it('may leave its organization empty', async () => assert.equal((await send(rig, keyOf({ org: '' }))).status, 200));
});

describe('the token of an API key', () => {
  it('is kept until shortly before it dies, and got anew then', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    assert.equal((await send(rig, keyOf())).status, 200);
    rig.move(4.4 * minuteMs);
    assert.equal((await send(rig, keyOf())).status, 200);
    assert.equal(rig.provider.calls.token, 1);
    rig.move(0.2 * minuteMs);
    assert.equal((await send(rig, keyOf())).status, 200);
    assert.equal(rig.provider.calls.token, 2);
  });

  it('is asked for once however many come at the same time, by whichever header', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    const release = rig.provider.hold('token');
    const asking = Array.from({ length: 50 }, (_, at) =>
      send(rig, keyOf(), at % 2 === 0 ? 'authorization' : 'flyte-authorization'),
    );
    await rig.provider.whenAsked('token', 1);
    release();
    for (const answer of await Promise.all(asking)) assert.equal(answer.status, 200);
    assert.equal(rig.provider.calls.token, 1);
  });

  it('needs the scope, the audience and a good signature like any other', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    rig.provider.behaviour.accessToken = { scope: 'openid' };
    assert.equal((await send(rig, keyOf())).status, 403);
    rig.provider.behaviour.accessToken = { aud: 'https://else.test' };
    assert.equal((await send(rig, keyOf({ client: 'other-app', secret: 'another' }))).status, 401);
    rig.provider.behaviour.accessToken = { iss: 'https://else.test' };
    assert.equal((await send(rig, keyOf({ endpoint: 'https://localhost' }))).status, 401);
  });

  it('signed by a key that nobody has seen yet, and nobody may ask for again now, is “could not tell”', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    for (const kid of ['these', 'kids', 'are', 'made', 'up']) {
      const stranger = await rig.provider.accessToken({}, { kid });
      assert.equal((await send(rig, stranger)).status, 401);
    }
    await rig.provider.rotateKeys({ keepOld: false });
    assert.equal((await send(rig, keyOf())).status, 503);
    rig.move(31_000);
    assert.equal((await send(rig, keyOf())).status, 200);
  });

  it('is an app’s whatever else it says', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    rig.provider.behaviour.accessToken = { sub: '0b1c-object-id', client_id: undefined };
    await rig.ask('/api/v1/projects', { fields: { authorization: `Bearer ${keyOf()}` } });
    const line = await rig.log.until((one) => one['path'] === '/api/v1/projects');
    assert.equal(line['kind'], 'app');
  });
});

describe('while the provider does not say yes or no to an API key', () => {
  for (const [what, answer] of Object.entries({
    'a 500': { status: 500 },
    'a 429': { status: 429, body: '{"error":"slow_down"}' },
    'a page for people': { status: 200, fields: { 'content-type': 'text/html' }, body: '<html>' },
    'a page that forbids': { status: 403, fields: { 'content-type': 'text/html' }, body: '<html>' },
    'two megabytes': { status: 200, body: `{"access_token":"${'a'.repeat(1 << 21)}"}` },
    'a token without a type': { status: 200, body: '{"access_token":"a"}' },
  })) {
    it(`${what} is “could not tell”, costs no try, and is remembered by nobody`, async () => {
      const rig = await startFakeRig({ settings: { ...settings, 'auth.apiKeys.failuresPerClient': 1 }, behaviour });
      rig.provider.behaviour.answers.token = answer;
      for (let i = 0; i < 3; i++) {
        const refused = await send(rig, keyOf());
        assert.equal(refused.status, 503);
        assert.doesNotMatch(refused.text, /unauth/i);
      }
      delete rig.provider.behaviour.answers.token;
      rig.move(2000);
      assert.equal((await send(rig, keyOf())).status, 200);
    });
  }

  it('a token endpoint that hangs is waited for no longer than auth.timeout', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.timeout': '150ms' }, behaviour });
    const release = rig.provider.hold('token');
    assert.equal((await send(rig, keyOf())).status, 503);
    release();
  });

  it('those that were exchanged before go on', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    assert.equal((await send(rig, keyOf())).status, 200);
    await rig.provider.stop();
    rig.move(2 * minuteMs);
    assert.equal((await send(rig, keyOf())).status, 200);
    rig.move(5 * minuteMs);
    assert.equal((await send(rig, keyOf())).status, 503);
    await rig.provider.restart();
    rig.move(2000);
    assert.equal((await send(rig, keyOf())).status, 200);
  });
});

describe('without auth.apiKeys.enabled', () => {
  it('an API key is refused, and nobody is asked', async () => {
    const rig = await startFakeRig({ behaviour });
    const answer = await send(rig, keyOf());
    assert.equal(answer.status, 401);
    assert.match(answer.one('www-authenticate') ?? '', /invalid_token/);
    assert.equal(rig.provider.calls.token, 0);
  });
});

describe('with a certified provider', () => {
  it('an API key of its service app gets through, and one with another secret does not', async () => {
    const rig = await startDemoRig({ settings });
    const { id: client, secret: known } = rig.provider.clients.service;
    const fields = (guess: string) => ({ authorization: `Bearer ${keyOf({ client, secret: guess })}` });
    const answer = await rig.ask('/api/v1/whoami', { fields: fields(known) });
    assert.equal(answer.status, 200);
    assert.equal(Object(answer.json()['identity'])['x-auth-request-user'], client);
    assert.equal((await rig.ask('/me', { fields: fields('guess') })).status, 401);
  });
});
