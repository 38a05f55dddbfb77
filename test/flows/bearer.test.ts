import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type DemoRig, type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

const bearer = (token: string) => `Bearer ${token}`;

describe('a service app with client credentials', () => {
  let rig: DemoRig;
  let token: string;
  before(async () => {
    rig = await startDemoRig();
    token = await rig.appToken();
  });

  for (const name of ['flyte-authorization', 'authorization', 'Flyte-Authorization']) {
    it(`gets through by ${name}, and is told to the upstream as itself`, async () => {
      const answer = await rig.ask('/api/v1/whoami', { fields: { [name]: bearer(token) } });
      assert.equal(answer.status, 200);
      const { identity, headers } = answer.json();
      assert.deepEqual(identity, { 'x-auth-request-user': 'flyte-service', 'x-user-subject': 'flyte-service' });
      assert.equal(Object(headers)[name.toLowerCase()], bearer(token), 'a bearer that was verified goes on');
    });
  }

  it('may send the same token in both headers', async () => {
    const fields = { authorization: bearer(token), 'flyte-authorization': bearer(token) };
    assert.equal((await rig.ask('/api/v1/whoami', { fields })).status, 200);
  });

  it('is logged as an app', async () => {
    await rig.ask('/api/v1/projects', { fields: { authorization: bearer(token) } });
    const line = await rig.log.until((one) => one['path'] === '/api/v1/projects');
    assert.equal(line['kind'], 'app');
  });

  it('is kept by no outside cache when it came by authorization', async () => {
    const by = async (name: string) => {
      const { one, fields } = await rig.ask('/me', { fields: { [name]: bearer(token) } });
      assert.equal(fields[0], 'X-Accel-Expires');
      return one('x-accel-expires');
    };
    assert.deepEqual([await by('authorization'), await by('flyte-authorization')], ['0', '10']);
  });
});

describe('bearer tokens', () => {
  let rig: FakeRig;
  let good: string;
  before(async () => {
    rig = await startFakeRig();
    good = await rig.provider.accessToken();
  });
  const status = async (fields: Record<string, string | string[]>, path = '/api/v1/whoami') =>
    (await rig.ask(path, { fields })).status;

  it('of a person are told as a person', async () => {
    const token = await rig.provider.accessToken({ sub: 'ada', preferred_username: 'ada', scp: ['all'] });
    const answer = await rig.ask('/api/v1/whoami', { fields: { 'flyte-authorization': bearer(token) } });
    assert.equal(Object(answer.json()['identity'])['x-auth-request-user'], 'ada');
    const line = await rig.log.until((one) => one['event'] === 'request.forwarded');
    assert.equal(line['kind'], 'person');
  });

  it('without the scope are refused with 403, and the log names what is missing', async () => {
    const token = await rig.provider.accessToken({ scope: 'openid', client_id: 'narrow' });
    const answer = await rig.ask('/api/v1/whoami', { fields: { authorization: bearer(token) } });
    assert.equal(answer.status, 403);
    assert.match(answer.one('www-authenticate') ?? '', /insufficient_scope/);
    const line = await rig.log.until((one) => one['event'] === 'decision.denied');
    assert.deepEqual([line['missing'], line['clientId']], ['all', 'narrow']);
    assert.equal(await status({ authorization: bearer(token) }, '/me'), 403);
  });

  it('of the kind that was meant for somebody else are refused', async () => {
    const at = Math.floor(Date.now() / 1000);
    const idToken = { iss: rig.issuer, aud: rig.url, sub: 'ada', iat: at, exp: at + 300, nonce: 'n', scope: 'all' };
    const wrong: [what: string, token: string][] = [
      ['an ID token', await rig.provider.sign(idToken, { typ: 'JWT' })],
      ['another audience', await rig.provider.accessToken({ aud: 'https://else.test' })],
      ['another issuer', await rig.provider.accessToken({ iss: 'https://else.test' })],
      ['expired', await rig.provider.accessToken({ exp: at - 120 })],
      ['without expiry', await rig.provider.accessToken({ exp: undefined })],
      ['a changed signature', `${good.slice(0, -6)}AAAAAA`],
      ['no JWT', 'opaque'],
    ];
    for (const [what, token] of wrong) {
      const answer = await rig.ask('/api/v1/whoami', { fields: { authorization: bearer(token) } });
      assert.equal(answer.status, 401, what);
      assert.match(answer.one('www-authenticate') ?? '', /error="invalid_token"/, what);
      assert.equal(await status({ 'flyte-authorization': bearer(token) }, '/me'), 401, what);
    }
  });

  for (const path of ['/api/v1/whoami', '/me']) {
    it(`given twice in one header are refused with 400 at ${path}`, async () => {
      for (const name of ['authorization', 'flyte-authorization'])
        assert.equal(await status({ [name]: [bearer(good), bearer(good)] }, path), 400);
    });

    it(`that differ in two headers are refused with 401 at ${path}`, async () => {
      const other = await rig.provider.accessToken({ sub: 'zoe' });
      assert.equal(await status({ authorization: bearer(good), 'flyte-authorization': bearer(other) }, path), 401);
    });

    it(`decide alone beside a good cookie at ${path}, also when they are bad`, async () => {
      const { cookie } = await rig.signIn();
      assert.equal(await status({ cookie }, path), 200);
      assert.equal(await status({ cookie, authorization: bearer('bad') }, path), 401);
      assert.equal(await status({ cookie, 'flyte-authorization': 'Basic YTpi' }, path), 401);
      assert.equal(await status({ cookie, authorization: 'Basic YTpi' }, path), 200, 'another scheme is no credential');
    });
  }

  it('that nobody verified do not reach the upstream', async () => {
    const { cookie } = await rig.signIn();
    const fields = { cookie: `${cookie}; theirs=1`, authorization: 'Basic YTpi', 'proxy-authorization': 'Basic YTpi' };
    const answer = await rig.ask('/api/v1/whoami', { fields });
    const { authorization, 'proxy-authorization': proxy, cookie: left } = Object(answer.json()['headers']);
    assert.deepEqual([authorization, proxy, left], [undefined, undefined, 'theirs=1']);
  });

  it('are looked at again when the keys rotate', async () => {
    await rig.provider.rotateKeys({ keepOld: false });
    rig.move(60_000);
    assert.equal(await status({ authorization: bearer(await rig.provider.accessToken({ sub: 'new' })) }), 200);
  });
});
