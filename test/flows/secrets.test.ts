import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { blockKey, hashKey } from '../config/settings-folder.ts';
import { type Browser, createBrowser } from '../fakes/browser.ts';
import { ask } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

describe('after everything that can happen to a secret', () => {
  let rig: FakeRig;
  let text: string;
  let metrics: string;
  const secrets = new Set<string>();
  before(async () => {
    rig = await startFakeRig();
    for (const one of ['the client secret', hashKey, blockKey]) secrets.add(one);
    const browser = createBrowser();
    const callback = await signIn(browser);
    await sendTokens();
    await renewAndSignOut(browser, callback);
    metrics = (await ask(`${rig.admin()}/metrics`)).text;
    await rig.stop();
    for (const asked of rig.provider.tokenRequests)
      for (const name of ['code_verifier', 'refresh_token', 'client_secret']) keep(asked.get(name));
    for (const one of rig.provider.revoked) keep(one);
    text = rig.log.text();
  });

  it('none stands in the log, at any level', () => {
    assert.ok(secrets.size > 15, 'the journey kept what to look for');
    assert.ok(text.split('\n').length > 20);
    for (const secret of secrets) assert.ok(!text.includes(secret), lineWith(secret));
  });

  it('nor a part of a token or a sealed value, which all begin alike', () => assert.equal(lineWith('eyJ'), undefined));

  it('nor one on the page of metrics', () => {
    for (const secret of secrets) assert.ok(!metrics.includes(secret), secret);
  });

  const lineWith = (part: string) => text.split('\n').find((line) => line.includes(part));

  const keep = (secret: string | null | undefined) => {
    if (secret) secrets.add(secret);
  };

  const keepCookies = (browser: Browser) => {
    const pairs = browser.cookiesFor(`${rig.url}/logout`).split('; ');
    for (const pair of pairs) keep(pair.slice(pair.indexOf('=') + 1));
  };

  /** Fails once, then works. @returns the path and query that the provider sent the browser back to */
  async function signIn(browser: Browser): Promise<string> {
    const { behaviour } = rig.provider;
    behaviour.authorizeResponse = {
      code: undefined,
      error: 'access_denied',
      error_description: 'eyJ-said-the-provider',
    };
    await browser.open(`${rig.url}/console`);
    behaviour.authorizeResponse = {};
    behaviour.idToken = { nonce: 'another' };
    await browser.open(`${rig.url}/console`);
    behaviour.idToken = {};
    const start = await browser.open(`${rig.url}/console`, { until: ({ origin }) => origin === rig.issuer });
    keepCookies(browser);
    const back = await browser.open(start.url.href, { until: ({ pathname }) => pathname === '/callback' });
    for (const url of [start.url, back.url])
      for (const name of ['code', 'state', 'nonce', 'code_challenge']) keep(url.searchParams.get(name));
    await browser.open(back.url.href);
    keepCookies(browser);
    return back.url.pathname + back.url.search;
  }

  async function sendTokens(): Promise<void> {
    const { provider } = rig;
    const tokens = [await provider.accessToken(), await provider.accessToken({ scope: 'openid' }), 'a-bad-token'];
    for (const token of tokens) {
      keep(token);
      for (const path of ['/me', '/api/v1/whoami', `/api/v1/whoami?access_token=${token}`])
        for (const name of ['authorization', 'flyte-authorization'])
          await rig.ask(path, { fields: { [name]: `Bearer ${token}` } });
    }
  }

  async function renewAndSignOut(browser: Browser, callback: string): Promise<void> {
    const cookie = browser.cookiesFor(`${rig.url}/logout`);
    await rig.ask('/api/v1/whoami', { fields: { cookie: `${cookie}; __Host-flytegate=again` } });
    rig.move(4.6 * 60_000);
    const renewed = (await rig.ask('/me', { fields: { cookie } })).one('set-cookie')?.split(';')[0] ?? '';
    keep(renewed.slice(renewed.indexOf('=') + 1));
    await rig.provider.stop();
    rig.move(6 * 60_000);
    await rig.ask('/me', { fields: { cookie: renewed } });
    await rig.ask(callback, { fields: { cookie } });
    await rig.provider.restart();
    await rig.ask(callback, { fields: { cookie } });
    await rig.ask('/logout', { fields: { cookie } });
  }
});
