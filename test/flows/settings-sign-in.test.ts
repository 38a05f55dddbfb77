import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { createBrowser } from '../fakes/browser.ts';
import { startProvider } from '../fakes/provider.ts';
import { type Answer, ask } from './ask.ts';
import { endLater, type FakeRig, type RigOptions, startFakeRig } from './rig.ts';

describe('auth.userAuth.cookieSetting.sameSitePolicy', () => {
  for (const [policy, sameSite, callback] of [
    ['DefaultMode', 'Lax', 302],
    ['LaxMode', 'Lax', 302],
    ['StrictMode', 'Strict', 200],
    ['NoneMode', 'None', 302],
  ] as const) {
    it(`${policy} is SameSite=${sameSite} wherever the session is set or cleared, and Lax for the login`, async () => {
      const rig = await startFakeRig({ settings: { 'auth.userAuth.cookieSetting.sameSitePolicy': policy } });
      const { login, done } = await signInByHand(rig, `localhost:${rig.port}`);
      assert.match(login.one('set-cookie') ?? '', /; SameSite=Lax/);
      assert.equal(done.status, callback);
      const session = sessionIn(done, '__Host-flytegate');
      assert.match(session, /; Secure; SameSite=\w+$/);
      rig.move(4.6 * 60_000);
      const cookie = session.split(';')[0] ?? '';
      const renewed = await rig.ask('/me', { fields: { cookie } });
      const ended = await rig.ask('/logout', { fields: { cookie } });
      for (const answer of [done, renewed, ended])
        assert.match(sessionIn(answer, '__Host-flytegate'), new RegExp(`; SameSite=${sameSite}$`));
    });
  }
});

describe('auth.userAuth.cookieSetting.domain', () => {
  it('shares the session with the hosts under it, and nothing of a login', async () => {
    const host = 'flyte.example.localhost';
    const rig = await startFakeRig({
      publicUrl: `http://${host}`,
      settings: { 'auth.userAuth.cookieSetting.domain': '.example.localhost' },
    });
    const { login, done } = await signInByHand(rig, host);
    assert.match(login.one('set-cookie') ?? '', /^__Host-flytegate-login-/);
    assert.doesNotMatch(login.one('set-cookie') ?? '', /Domain/i);
    const session = sessionIn(done, 'flytegate');
    assert.match(session, /; Domain=example\.localhost; /);
    const value = session.slice(session.indexOf('=') + 1, session.indexOf(';'));
    const me = async (cookie: string) => (await askHost(rig, host, { path: '/me', cookie })).status;
    assert.equal(await me(`flytegate=${value}`), 200);
    assert.equal(await me(`__Host-flytegate=${value}`), 401, 'a name that no browser has it under');
    const ended = await askHost(rig, host, { path: '/logout', cookie: `flytegate=${value}` });
    assert.match(sessionIn(ended, 'flytegate'), /Max-Age=0; Domain=example\.localhost/, 'or no browser would drop it');
  });
});

describe('server.security.insecureCookieHeader', () => {
  it('leaves out Secure and the prefixes that need it', async () => {
    const rig = await startFakeRig({ settings: { 'server.security.insecureCookieHeader': true } });
    const { login, done } = await signInByHand(rig, `localhost:${rig.port}`);
    const all = [...login.all('set-cookie'), ...done.all('set-cookie')];
    assert.ok(all.length >= 2);
    for (const cookie of all) {
      assert.match(cookie, /^flytegate/);
      assert.doesNotMatch(cookie, /; Secure/);
      assert.match(cookie, /; HttpOnly/);
    }
    const [cookie = ''] = sessionIn(done, 'flytegate').split(';');
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
  });
});

describe('an outbound proxy', () => {
  for (const setting of [
    'auth.httpProxyURL',
    'auth.userAuth.httpProxyURL',
    'auth.appAuth.externalAuthServer.httpProxyURL',
  ]) {
    it(`stands between the gateway and the provider for every question: ${setting}`, async () => {
      const proxy = await startProxy();
      const rig = await startFakeRig({ settings: { [setting]: proxy.url } });
      const { cookie } = await rig.signIn();
      rig.move(4.6 * 60_000);
      assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
      const { discovery, jwks, token, userinfo } = rig.provider.calls;
      assert.equal(token, 2, 'to sign in, and to renew');
      const through = (path: string) => proxy.asked.filter((url) => url === rig.issuer + path).length;
      assert.deepEqual(['/.well-known/openid-configuration', '/jwks', '/token', '/userinfo'].map(through), [
        discovery,
        jwks,
        token,
        userinfo,
      ]);
    });
  }
});

describe('auth.userAuth.openId', () => {
  it('issuerUrl is the issuer that tokens name, baseUrl only where it is asked', async () => {
    const idp = await startAnotherProvider();
    const { rig, bearer } = await rigWith({
      'auth.userAuth.openId.baseUrl': idp.issuer.replace('127.0.0.1', 'localhost'),
      'auth.userAuth.openId.issuerUrl': idp.issuer,
    });
    const page = await createBrowser().open(`${rig.url}/console`);
    assert.deepEqual([page.url.pathname, page.status], ['/console', 200]);
    assert.equal(await bearer(await idp.accessToken()), 200);
    assert.equal(await bearer(await idp.accessToken({ iss: idp.issuer.replace('127.0.0.1', 'localhost') })), 401);
    const found = await rig.ask('/.well-known/openid-configuration');
    assert.equal(found.one('location'), `${idp.issuer}/.well-known/openid-configuration`);
  });

  it('clientId and scopes are what the provider is asked with', async () => {
    const { rig } = await rigWith({
      'auth.userAuth.openId.clientId': 'another-client',
      'auth.userAuth.openId.scopes': ['openid', 'groups'],
    });
    const asked = new URL((await rig.ask('/login')).one('location') ?? '').searchParams;
    assert.deepEqual([asked.get('client_id'), asked.get('scope')], ['another-client', 'openid groups']);
  });
});

describe('auth.userAuth', () => {
  it('redirectUrl is where those go who wanted nothing', async () => {
    const { rig } = await rigWith({ 'auth.userAuth.redirectUrl': '/api/v1/whoami' });
    const page = await createBrowser().open(`${rig.url}/login`);
    assert.deepEqual([page.url.pathname, page.status], ['/api/v1/whoami', 200]);
  });

  it('idpQueryParameter is the one parameter that goes on to the provider', async () => {
    const { rig } = await rigWith({ 'auth.userAuth.idpQueryParameter': 'connection' });
    const answer = await rig.ask('/login?idp=github&connection=corp&client_id=evil&prompt=none');
    const asked = new URL(answer.one('location') ?? '').searchParams;
    assert.equal(asked.get('connection'), 'corp');
    for (const name of ['idp', 'prompt']) assert.equal(asked.get(name), null);
    assert.deepEqual(asked.getAll('client_id'), ['web']);
  });
});

describe('auth.appAuth', () => {
  it('externalAuthServer.baseUrl is the only issuer of access tokens, openId’s that of people', async () => {
    const apps = await startAnotherProvider();
    const { rig, bearer } = await rigWith({ 'auth.appAuth.externalAuthServer.baseUrl': apps.issuer });
    assert.equal(await bearer(await apps.accessToken()), 200);
    assert.equal(await bearer(await rig.provider.accessToken()), 401);
    assert.equal(await bearer(await rig.provider.accessToken({ iss: apps.issuer })), 401);
    const { page, cookie } = await rig.signIn();
    assert.equal(page.status, 200);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
    const metadata = await rig.ask('/.well-known/oauth-authorization-server');
    assert.equal(metadata.json()['issuer'], apps.issuer);
    const found = await rig.ask('/.well-known/openid-configuration');
    assert.equal(found.one('location'), `${rig.issuer}/.well-known/openid-configuration`);
  });

  it('externalAuthServer.metadataUrl is where its metadata is asked for instead', async () => {
    const apps = await startAnotherProvider();
    const { issuer } = apps;
    // A well-known place with somebody else's keys: whoever looks there proves nothing.
    apps.behaviour.metadata = { jwks_uri: `${issuer}/none` };
    const document = createServer((_, response) =>
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` })),
    );
    const metadataUrl = `${await open(document)}/metadata`;
    const { bearer } = await rigWith({
      'auth.appAuth.externalAuthServer.baseUrl': issuer,
      'auth.appAuth.externalAuthServer.metadataUrl': metadataUrl,
    });
    assert.equal(await bearer(await apps.accessToken()), 200);
  });

  it('externalAuthServer.allowedAudience is accepted besides the authorized URIs, to the letter', async () => {
    const { rig, bearer } = await rigWith({});
    const status = async (aud: string | string[]) => bearer(await rig.provider.accessToken({ aud }));
    assert.equal(await status('api://flyte'), 200);
    assert.equal(await status(['api://other', 'api://flyte']), 200);
    assert.equal(await status(rig.url), 200);
    for (const aud of ['api://flyte/', 'API://flyte', 'api://other', `${rig.url}.evil.test`])
      assert.equal(await status(aud), 401, aud);
  });

  it('thirdPartyConfig.flyteClient is told to Flyte’s clients', async () => {
    const at = 'auth.appAuth.thirdPartyConfig.flyteClient';
    const { rig } = await rigWith({
      [`${at}.clientId`]: 'cli',
      [`${at}.redirectUri`]: 'http://localhost:1234/callback',
      [`${at}.scopes`]: ['all', 'more'],
      [`${at}.audience`]: 'api://flyte',
    });
    assert.deepEqual((await rig.ask('/config/v1/flyte_client')).json(), {
      client_id: 'cli',
      redirect_uri: 'http://localhost:1234/callback',
      scopes: ['all', 'more'],
      authorization_metadata_key: 'flyte-authorization',
      service_http_endpoint: rig.url,
      audience: 'api://flyte',
    });
  });
});

describe('session.maxSessions', () => {
  it('bounds what store: memory keeps: the one unused for longest goes, and the log says so', async () => {
    const { rig } = await rigWith({ 'session.store': 'memory', 'session.maxSessions': 100 });
    const cookies: string[] = [];
    for (let i = 0; i <= 100; i++) {
      rig.provider.behaviour.person = { sub: `person-${i}` };
      cookies.push((await rig.signIn()).cookie);
    }
    const [first = '', second = ''] = cookies;
    // Beyond what a decision is kept for.
    rig.move(61_000);
    const status = async (cookie: string) => (await rig.ask('/me', { fields: { cookie } })).status;
    assert.deepEqual([await status(first), await status(second)], [401, 200]);
    assert.equal(rig.log.of('session.evicted').length, 1);
  });
});

/** A provider besides that of the rig, whose access tokens are for `api://flyte`. */
async function startAnotherProvider() {
  const provider = await startProvider({ audience: 'api://flyte' });
  endLater(provider.stop);
  return provider;
}

async function rigWith(settings: RigOptions['settings']) {
  const rig = await startFakeRig({
    settings: { 'auth.appAuth.externalAuthServer.allowedAudience': ['api://flyte'], ...settings },
  });
  const bearer = async (token: string) =>
    (await rig.ask('/me', { fields: { 'flyte-authorization': `Bearer ${token}` } })).status;
  return { rig, bearer };
}

/** Goes through a sign-in step by step, at a host that need not resolve. */
async function signInByHand(rig: FakeRig, host: string): Promise<{ login: Answer; done: Answer }> {
  const login = await askHost(rig, host, { path: '/login' });
  const back = new URL((await ask(login.one('location') ?? '')).one('location') ?? '');
  const cookie = login.one('set-cookie')?.split(';')[0] ?? '';
  return { login, done: await askHost(rig, host, { path: back.pathname + back.search, cookie }) };
}

function askHost(
  rig: FakeRig,
  host: string,
  { path, cookie }: { readonly path: string; readonly cookie?: string },
): Promise<Answer> {
  return ask(`http://127.0.0.1:${rig.port}${path}`, { fields: { host, ...(cookie && { cookie }) } });
}

/** The Set-Cookie value by which an answer sets or clears the session. */
function sessionIn(answer: Answer, name: string): string {
  const found = answer.all('set-cookie').find((one) => one.startsWith(`${name}=`));
  if (found === undefined) throw new Error(`no ${name} in an answer of status ${answer.status}`);
  return found;
}

/** A forwarding HTTP proxy (RFC 9112 §3.2.2) that remembers what it was asked for. */
async function startProxy(): Promise<{ readonly url: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { url = '', method, headers } = request;
    asked.push(url);
    const onward = httpRequest(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
    });
    // The gateway sees a proxy that fails.
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  return { url: await open(server), asked };
}

async function open(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
