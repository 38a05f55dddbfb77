import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { createDemoProvider } from '../../src/demo/provider.ts';
import { type Browser, createBrowser, type Visited } from '../fakes/browser.ts';

const gateway = 'http://127.0.0.1:9';
const isBack = (url: URL) => url.origin === gateway;

describe('the demo provider', () => {
  const calls: string[] = [];
  const provider = createDemoProvider({
    port: 0,
    publicUrls: [gateway],
    onToken: ({ grantType, ok }) => calls.push(`${grantType} ${ok}`),
  });
  let issuer: string;
  before(async () => {
    issuer = await provider.start();
  });
  after(() => provider.stop());

  const discover = (id: string, secret?: string) =>
    client.discovery(new URL(issuer), id, secret, secret === undefined ? client.None() : undefined, {
      execute: [client.allowInsecureRequests],
    });
  const web = () => discover(provider.clients.web.id, provider.clients.web.secret);

  it('signs a person in with the scopes of the pasted settings and tells who it is by userinfo', async () => {
    const config = await web();
    const tokens = await signIn(config, createBrowser(), 'openid profile email offline_access');
    assert.equal(tokens.claims()?.sub, 'zoe');
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, 'zoe');
    assert.equal(userinfo.name, 'Zoë Núñez');
    assert.equal(userinfo.email, 'zoe@example.com');
    assert.equal(userinfo.email_verified, false);
    assert.deepEqual(userinfo['groups'], ['analytics']);
  });

  it('promises and sends the iss parameter, revocation, introspection, sign-out and device codes', async () => {
    const metadata = (await web()).serverMetadata();
    assert.equal(metadata.issuer, issuer);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    for (const endpoint of ['revocation', 'introspection', 'end_session', 'userinfo', 'device_authorization'] as const)
      assert.ok(metadata[`${endpoint}_endpoint`], endpoint);
    assert.ok(metadata.grant_types_supported?.includes('client_credentials'));
  });

  it('burns a refresh token on use, and ends the grant when one comes twice', async () => {
    const config = await web();
    const first = await signIn(config, createBrowser(), 'openid profile offline_access');
    calls.length = 0;
    const second = await client.refreshTokenGrant(config, first.refresh_token ?? '');
    assert.notEqual(second.refresh_token, first.refresh_token);
    await assert.rejects(client.refreshTokenGrant(config, first.refresh_token ?? ''), { error: 'invalid_grant' });
    await assert.rejects(client.refreshTokenGrant(config, second.refresh_token ?? ''), { error: 'invalid_grant' });
    assert.deepEqual(calls, ['refresh_token true', 'refresh_token false', 'refresh_token false']);
  });

  it('ends one sign-in and leaves another of the same browser alone when its refresh token is revoked', async () => {
    const config = await web();
    const browser = createBrowser();
    const one = await signIn(config, browser, 'openid offline_access');
    const other = await signIn(config, browser, 'openid offline_access');
    await client.tokenRevocation(config, one.refresh_token ?? '');
    await assert.rejects(client.refreshTokenGrant(config, one.refresh_token ?? ''), { error: 'invalid_grant' });
    assert.ok((await client.refreshTokenGrant(config, other.refresh_token ?? '')).refresh_token);
  });

  it('gives the service app an RFC 9068 access token with scope all for our audience', async () => {
    const config = await discover(provider.clients.service.id, provider.clients.service.secret);
    const { access_token, expires_in } = await client.clientCredentialsGrant(config, { scope: 'all' });
    assert.equal(expires_in, 300);
    const claims = await verified(issuer, access_token);
    assert.equal(decodeProtectedHeader(access_token).typ, 'at+jwt');
    assert.equal(claims['client_id'], provider.clients.service.id);
    assert.equal(claims['scope'], 'all');
    assert.equal(claims.sub, provider.clients.service.id);
  });

  it('gives the native app a token for Flyte that names the person, by PKCE, without a consent screen', async () => {
    const config = await discover(provider.clients.native.id);
    const { redirectUri } = provider.clients.native;
    const tokens = await signIn(config, createBrowser(), 'all offline_access', redirectUri);
    const claims = await verified(issuer, tokens.access_token);
    assert.equal(claims.sub, 'zoe');
    assert.equal(claims['scope'], 'all');
    assert.equal(claims['preferred_username'], 'zoe');
    assert.ok(tokens.refresh_token);
  });

  it('refuses the native app without PKCE', async () => {
    const asked = new URLSearchParams({
      client_id: provider.clients.native.id,
      response_type: 'code',
      scope: 'all',
      redirect_uri: provider.clients.native.redirectUri,
    });
    const { url } = await createBrowser().open(`${issuer}/auth?${asked}`, { until: (to) => to.port === '53593' });
    assert.equal(url.searchParams.get('error'), 'invalid_request');
  });

  it('signs a device in by its code', async () => {
    const config = await discover(provider.clients.native.id);
    const device = await client.initiateDeviceAuthorization(config, { scope: 'all' });
    assert.equal(device.interval, 5, 'which Flyte 1’s SDK insists on');
    const browser = createBrowser();
    const confirm = await browser.submit(await browser.open(device.verification_uri), { user_code: device.user_code });
    assert.match(confirm.text, /Is this your device/);
    const login = await browser.submit(confirm, {});
    const done = await browser.submit(login, credentials(provider.accounts));
    assert.match(done.text, /Connected/);
    const tokens = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:device_code', {
      device_code: device.device_code,
    });
    assert.equal((await verified(issuer, tokens.access_token)).sub, 'zoe');
  });

  it('says that a password is wrong without saying whether the name exists', async () => {
    const browser = createBrowser();
    const login = await openLogin(await web(), browser);
    const pages: string[] = [];
    for (const user of ['zoe', 'nobody', '<script>']) {
      const page = await browser.submit(login, { user, password: 'guess' });
      assert.equal(page.status, 403);
      assert.doesNotMatch(page.text, /<script>/);
      pages.push(page.text.replace(/value="[^"]*"/g, ''));
    }
    assert.equal(new Set(pages).size, 1);
  });

  it('lets no page of its own load, frame or send anything elsewhere', async () => {
    const login = await openLogin(await web(), createBrowser());
    const policy = login.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, new RegExp(`form-action 'self' ${gateway} http://localhost:53593`));
    assert.doesNotMatch(login.text, /\b(?:src|href)=/);
  });

  it('signs out at the word of the app and comes back with its state; without a hint it asks', async () => {
    const config = await web();
    const browser = createBrowser();
    const tokens = await signIn(config, browser, 'openid');
    const back = { post_logout_redirect_uri: `${gateway}/logout`, state: 'here' };
    const asked = await browser.open(
      client.buildEndSessionUrl(config, { client_id: config.clientMetadata().client_id }).href,
    );
    assert.doesNotMatch(asked.text, /<script>/);
    const hint = { id_token_hint: tokens.id_token ?? '' };
    const page = await browser.open(client.buildEndSessionUrl(config, { ...back, ...hint }).href);
    assert.match(page.text, /<script>/);
    const { url } = await browser.submit(page, { logout: 'yes' }, isBack);
    assert.equal(url.href, `${gateway}/logout?state=here`);
    assert.match((await openLogin(config, browser)).text, /Password/);
  });

  async function openLogin(config: client.Configuration, browser: Browser): Promise<Visited> {
    const url = client.buildAuthorizationUrl(config, { redirect_uri: `${gateway}/callback`, scope: 'openid' });
    return browser.open(url.href);
  }

  async function signIn(
    config: client.Configuration,
    browser: Browser,
    scope: string,
    redirectUri = `${gateway}/callback`,
  ) {
    const verifier = client.randomPKCECodeVerifier();
    const challenge = await client.calculatePKCECodeChallenge(verifier);
    const asked = {
      redirect_uri: redirectUri,
      scope,
      state: 's',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    };
    const isThere = (to: URL) => to.origin === new URL(redirectUri).origin;
    let page = await browser.open(client.buildAuthorizationUrl(config, asked).href, { until: isThere });
    if (!isThere(page.url)) page = await browser.submit(page, credentials(provider.accounts), isThere);
    assert.equal(page.url.searchParams.get('iss'), issuer);
    return client.authorizationCodeGrant(config, page.url, { pkceCodeVerifier: verifier, expectedState: 's' });
  }
});

function credentials(accounts: readonly { sub: string; password: string }[]): Record<string, string> {
  const [, zoe] = accounts;
  return { user: zoe?.sub ?? '', password: zoe?.password ?? '' };
}

async function verified(issuer: string, token: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  return (await jwtVerify(token, keys, { issuer, audience: gateway, typ: 'at+jwt' })).payload;
}
