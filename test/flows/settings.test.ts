import assert from 'node:assert/strict';
import { type RequestOptions, request as requestTls } from 'node:https';
import { text } from 'node:stream/consumers';
import { before, describe, it } from 'node:test';
import { makeSettingsFolder } from '../config/settings-folder.ts';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { ask as askHttp2, openSession } from '../server/http2-client.ts';
import { exchangeRaw } from '../server/raw-connection.ts';
import { testCertificate } from '../server/test-certificate.ts';
import { ask } from './ask.ts';
import { startChild } from './child.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const publicAndGuarded = [
  { path: '/public', upstream: 'control-plane', access: 'public' },
  { path: '/', upstream: 'control-plane' },
];

describe('auth.grpcAuthorizationHeader and auth.httpAuthorizationHeader with two names', () => {
  const names = ['for-grpc-authorization', 'for-http-authorization'] as const;
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let token: string;
  before(async () => {
    upstream = await startUpstream();
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: {
        'auth.grpcAuthorizationHeader': names[0],
        'auth.httpAuthorizationHeader': names[1],
        routes: publicAndGuarded,
      },
    });
    token = await rig.provider.accessToken();
  });
  const statuses = async (fields: Record<string, string | string[]>) => {
    const all = ['/me', '/page'].map(async (path) => (await rig.ask(path, { fields })).status);
    return Promise.all(all);
  };

  for (const name of names) {
    it(`takes a bearer in ${name}, and passes it on once it is proved`, async () => {
      const sent = { [name]: `Bearer ${token}` };
      assert.deepEqual(await statuses(sent), [200, 200]);
      await rig.ask('/page', { fields: sent });
      assert.deepEqual(valuesOf(upstream, name), [`Bearer ${token}`]);
      assert.deepEqual(await statuses({ [name]: 'Bearer bad' }), [401, 401]);
    });

    it(`refuses ${name} given twice, even with the same bearer`, async () => {
      const twice = [`Bearer ${token}`, `Bearer ${token}`];
      assert.deepEqual(await statuses({ [name]: twice }), [400, 400]);
    });

    it(`refuses a proved bearer beside another one in ${name}`, async () => {
      const before = upstream.requests.length;
      for (const other of [...names, 'authorization'].filter((one) => one !== name))
        for (const forged of ['Bearer forged', `Bearer ${await rig.provider.accessToken()}`])
          assert.deepEqual(await statuses({ [other]: `Bearer ${token}`, [name]: forged }), [401, 401], other);
      assert.equal(upstream.requests.length, before);
    });

    it(`never passes on a bearer in ${name} that nobody looked at`, async () => {
      const { cookie } = await rig.signIn('/page');
      const misspelt = name.replaceAll('-', '_');
      await rig.ask('/public/page', { fields: { [name]: 'Bearer forged', cookie } });
      assert.deepEqual(valuesOf(upstream, name), []);
      const { status } = await rig.ask('/page', { fields: { [misspelt]: 'Bearer forged', cookie } });
      assert.equal(status, 200);
      assert.deepEqual(valuesOf(upstream, misspelt), []);
    });
  }

  it('tells Flyte’s clients the one for gRPC', async () => {
    const { json } = await rig.ask('/config/v1/flyte_client');
    assert.equal(json()['authorization_metadata_key'], names[0]);
  });

  it('no longer takes the usual name, which goes on like any other header', async () => {
    assert.deepEqual(await statuses({ 'flyte-authorization': `Bearer ${token}` }), [401, 401]);
  });
});

describe('identityHeaders', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  before(async () => {
    upstream = await startUpstream();
    rig = await startFakeRig({
      upstream: upstream.url,
      behaviour: { person: { sub: 'ada', cost_center: 'engines', shoe_size: 38 } },
      settings: {
        'identityHeaders.strip': ['x-corp-user-'],
        'identityHeaders.claims': ['cost_center'],
        routes: publicAndGuarded,
      },
    });
  });

  it('strip takes its prefixes away from every request, in any spelling', async () => {
    const { cookie } = await rig.signIn('/page');
    const forged = { 'X-Corp-User-Name': 'root', X_Corp_User_Mail: 'root', 'x-corp-users': 'kept' };
    for (const path of ['/public/page', '/page']) {
      await rig.ask(path, { fields: { ...forged, cookie } });
      for (const name of ['x-corp-user-name', 'x_corp_user_mail']) assert.deepEqual(valuesOf(upstream, name), []);
      assert.deepEqual(valuesOf(upstream, 'x-corp-users'), ['kept']);
    }
  });

  it('claims tells upstreams the claims it names and no others, of sessions and of tokens', async () => {
    const { cookie } = await rig.signIn('/page');
    await rig.ask('/page', { fields: { cookie } });
    assert.deepEqual(valuesOf(upstream, 'x-user-claim-cost-center'), ['"engines"']);
    assert.deepEqual(valuesOf(upstream, 'x-user-claim-shoe-size'), []);
    const authorization = `Bearer ${await rig.provider.accessToken({ cost_center: 'looms', shoe_size: 38 })}`;
    await rig.ask('/page', { fields: { authorization } });
    assert.deepEqual(valuesOf(upstream, 'x-user-claim-cost-center'), ['"looms"']);
    assert.deepEqual(valuesOf(upstream, 'x-user-claim-shoe-size'), []);
  });
});

describe('auth.trustUnverifiedEmail', () => {
  for (const trusts of [false, true]) {
    it(`${trusts}: an e-mail of which nobody says whether it is verified is ${trusts ? '' : 'not '}told to upstreams`, async () => {
      const email = 'ada@example.com';
      const rig = await startFakeRig({
        behaviour: { person: { sub: 'ada', email } },
        settings: { 'auth.trustUnverifiedEmail': trusts },
      });
      const { cookie } = await rig.signIn();
      const authorization = `Bearer ${await rig.provider.accessToken({ email })}`;
      for (const fields of [{ cookie }, { authorization }]) {
        const answer = await rig.ask('/me', { fields });
        assert.equal(answer.one('x-auth-request-email'), trusts ? email : undefined);
        assert.equal(answer.json()['email'], email, 'but always shown to who asks for it');
      }
    });
  }
});

describe('server.tls', () => {
  const host = 'flyte.example.com';
  let rig: FakeRig;
  let authorization: string;
  before(async () => {
    const upstream = await startUpstream();
    const files = await makeSettingsFolder('', { 'tls.crt': testCertificate.cert, 'tls.key': testCertificate.key });
    endLater(files.remove);
    rig = await startFakeRig({
      upstream: upstream.url,
      publicUrl: `https://${host}`,
      settings: {
        'server.tls.certFile': `${files.folder}/tls.crt`,
        'server.tls.keyFile': `${files.folder}/tls.key`,
      },
    });
    authorization = `Bearer ${await rig.provider.accessToken()}`;
  });

  it('speaks HTTP/2 with those who offer it, and tells upstreams of the scheme', async () => {
    const session = openSession(rig.port, 'https');
    const { status, body } = await askHttp2(session, { ':authority': host, ':path': '/page', authorization });
    assert.equal(session.alpnProtocol, 'h2');
    assert.equal(status, 200);
    assertScheme(body);
  });

  it('speaks HTTP/1.1 with those who offer only that, or nothing', async () => {
    for (const offered of [{ ALPNProtocols: ['http/1.1'] }, {}]) {
      const { status, body } = await askTls({ port: rig.port, headers: { host, authorization }, ...offered });
      assert.equal(status, 200);
      assertScheme(body);
    }
  });

  it('says nothing without TLS', async () => {
    const sent = `GET /me HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    assert.doesNotMatch(await exchangeRaw({ host: '127.0.0.1', port: rig.port }, sent), /HTTP/);
  });
});

describe('routes with hosts', () => {
  it('lead each host to its own upstream, by its own rule', async () => {
    const upstreams = await Promise.all(['app', 'wild', 'rest'].map(namedUpstream));
    const [app, wild, rest] = upstreams.map(({ url }) => url);
    const rig = await startFakeRig({
      ...(rest !== undefined && { upstream: rest }),
      settings: {
        'upstreams.app.url': app,
        'upstreams.wild.url': wild,
        routes: [
          { host: 'app.example.com', path: '/', upstream: 'app', access: 'public' },
          { host: '*.example.com', path: '/', upstream: 'wild' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const said = async (host: string, fields: Record<string, string>) => {
      const { status, text: body } = await rig.ask('/page', { fields: { host, ...fields } });
      return status === 200 ? body : status;
    };
    for (const [host, anonymous, known] of [
      ['app.example.com', 'app', 'app'],
      ['APP.example.com:8443', 'app', 'app'],
      ['other.example.com', 401, 'wild'],
      ['a.app.example.com', 401, 'wild'],
      ['example.com', 401, 'rest'],
      ['app.example.com.evil.test', 401, 'rest'],
      [`localhost:${rig.port}`, 401, 'rest'],
    ] as const) {
      assert.equal(await said(host, {}), anonymous, host);
      assert.equal(await said(host, { authorization }), known, host);
    }
  });
});

describe('log', () => {
  it('requests: false leaves out the line of each forwarded request, and no other', async () => {
    for (const requests of [true, false]) {
      const rig = await startFakeRig({ settings: { 'log.requests': requests } });
      assert.equal((await rig.ask('/healthcheck')).status, 200);
      assert.equal((await rig.ask('/api/v1/projects')).status, 401);
      await rig.stop();
      assert.equal(rig.log.of('request.forwarded').length, requests ? 1 : 0);
      assert.equal(rig.log.of('request.refused').length, 1);
    }
  });

  for (const [level, expected] of [
    ['debug', ['debug', 'info', 'warn']],
    ['info', ['info', 'warn']],
    ['warn', ['warn']],
    ['error', []],
  ] as const) {
    it(`level: ${level} is the least that the process writes`, async () => {
      const rig = await startFakeRig({ upstream: 'http://127.0.0.1:1', settings: { 'log.level': level } });
      await rig.stop();
      const child = await startChild(rig.settings.file);
      const authorization = `Bearer ${await rig.provider.accessToken()}`;
      assert.equal((await ask(`${rig.url}/me`, { fields: { authorization } })).status, 200);
      assert.equal((await ask(`${rig.url}/page`, { fields: { authorization } })).status, 502);
      child.kill('SIGTERM');
      await child.ended;
      const written = new Set([...child.log().matchAll(/"level":"(\w+)"/g)].map(([, name]) => name));
      assert.deepEqual([...written].sort(), expected);
    });
  }
});

async function startUpstream(): Promise<EchoUpstream> {
  const upstream = await startEchoUpstream();
  endLater(upstream.close);
  return upstream;
}

/** One that answers with its own name. */
async function namedUpstream(name: string): Promise<EchoUpstream> {
  const upstream = await startUpstream();
  upstream.script({ kind: 'reply', status: 200, body: name });
  return upstream;
}

/** What the last request to an upstream said under a name. */
function valuesOf(upstream: EchoUpstream, name: string): readonly string[] {
  const { fields = [] } = upstream.requests.at(-1) ?? {};
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}

async function askTls(options: RequestOptions): Promise<{ status: number | undefined; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>();
  const request = requestTls({ host: '127.0.0.1', path: '/page', rejectUnauthorized: false, agent: false, ...options });
  request.once('error', reject);
  request.once('response', async (response) => resolve({ status: response.statusCode, body: await text(response) }));
  request.end();
  return promise;
}

/** The echo of a request that came by TLS. */
function assertScheme(body: string): void {
  const { fields } = JSON.parse(body);
  assert.ok(Array.isArray(fields));
  assert.equal(fields[fields.indexOf('X-Forwarded-Proto') + 1], 'https');
}
