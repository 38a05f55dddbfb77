import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Answer, ask } from './ask.ts';
import { type DemoRig, type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

describe('signing out through a certified provider', () => {
  let rig: DemoRig;
  before(async () => {
    rig = await startDemoRig();
  });

  it('ends the session here and at the provider, and comes back to a page that says so', async () => {
    const { browser } = await rig.signIn();
    const asked = await browser.open(`${rig.url}/logout`);
    assert.equal(asked.url.origin, rig.issuer);
    const done = await browser.submit(asked, { logout: 'yes' });
    assert.equal(done.url.origin + done.url.pathname, `${rig.url}/logout`);
    assert.match(done.text, /You are signed out/);
    assert.equal(browser.cookiesFor(`${rig.url}/logout`), '');
    const again = await browser.open(`${rig.url}/console`);
    assert.match(again.text, /name="password"/, 'the provider asks for the password again');
  });

  it('leads on to the place that was asked for', async () => {
    const { browser } = await rig.signIn();
    const to = encodeURIComponent(`${rig.url}/healthcheck?bye`);
    const asked = await browser.open(`${rig.url}/logout?redirect_url=${to}`);
    const done = await browser.submit(asked, { logout: 'yes' });
    assert.equal(done.url.href, `${rig.url}/healthcheck?bye`);
    assert.equal(done.text, 'ok\n');
  });

  it('revokes the refresh token there', async () => {
    const { cookie } = await rig.signIn();
    await rig.ask('/logout', { fields: { cookie } });
    const line = await rig.log.until((one) => one['event'] === 'logout.refresh_token_revoked');
    assert.equal(line['isRevoked'], true);
  });
});

describe('signing out', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });
  const withCookie = (path: string, cookie: string, fields: Record<string, string> = {}) =>
    rig.ask(path, { fields: { cookie, ...fields } });
  const isSignedIn = async (cookie: string) => (await withCookie('/me', cookie)).status === 200;

  it('tells the provider whose session it is, and where to come back to', async () => {
    const { browser, cookie } = await rig.signIn();
    const left = await browser.open(`${rig.url}/logout`, { until: ({ origin }) => origin === rig.issuer });
    const asked = left.url.searchParams;
    assert.equal(asked.get('post_logout_redirect_uri'), `${rig.url}/logout`);
    assert.match(asked.get('id_token_hint') ?? '', /^eyJ/);
    assert.match(asked.get('state') ?? '', /^eyJ/);
    assert.equal(await isSignedIn(cookie), false);
  });

  it('refuses the old cookie from that moment, at /me and on routes, also where it was let in a moment ago', async () => {
    const { cookie } = await rig.signIn();
    const paths = ['/me', '/api/v1/projects'];
    for (const path of paths) assert.equal((await withCookie(path, cookie)).status, 200);
    assertLeft(await withCookie('/logout', cookie));
    for (const path of [...paths, ...paths]) {
      const answer = await withCookie(path, cookie);
      assert.equal(answer.status, 401);
      assert.match(answer.all('set-cookie').join(), /__Host-flytegate=;.*Max-Age=0/);
    }
    const page = await withCookie('/console', cookie, { 'sec-fetch-mode': 'navigate' });
    assert.equal(page.one('location'), '/login?redirect_url=%2Fconsole');
  });

  it('refuses every older and newer form of the cookie, too', async () => {
    const { cookie } = await rig.signIn();
    rig.move(4.6 * 60_000);
    const renewed = (await withCookie('/me', cookie)).one('set-cookie')?.split(';')[0] ?? '';
    assert.equal(await isSignedIn(renewed), true);
    assertLeft(await withCookie('/logout', cookie));
    assert.deepEqual([await isSignedIn(cookie), await isSignedIn(renewed)], [false, false]);
  });

  it('revokes the newest refresh token', async () => {
    const { cookie } = await rig.signIn();
    rig.move(4.6 * 60_000);
    await withCookie('/me', cookie);
    const { revoke } = rig.provider.calls;
    await withCookie('/logout', cookie);
    await rig.provider.whenAsked('revoke', revoke + 1);
    const sent = rig.provider.tokenRequests.at(-1)?.get('refresh_token');
    assert.notEqual(rig.provider.revoked.at(-1), sent, 'the one that was spent is worth nothing');
  });

  it('leaves other sessions of the same person alone', async () => {
    const [first, second] = [await rig.signIn(), await rig.signIn()];
    await withCookie('/logout', first.cookie);
    assert.deepEqual([await isSignedIn(first.cookie), await isSignedIn(second.cookie)], [false, true]);
  });

  it('works while the provider is down', async () => {
    const { cookie } = await rig.signIn();
    await rig.provider.stop();
    const answer = await withCookie('/logout', cookie);
    await rig.provider.restart();
    assert.match(answer.all('set-cookie').join(), /__Host-flytegate=;.*Max-Age=0/);
    assert.equal(await isSignedIn(cookie), false);
  });

  it('never goes to the provider without a session', async () => {
    const answer = await rig.ask('/logout');
    assert.equal(answer.status, 200);
    assert.match(answer.text, /You are signed out/);
    assert.deepEqual(answer.all('set-cookie'), []);
  });

  it('asks first when another site sent the browser here, and does nothing until told', async () => {
    const { browser, cookie } = await rig.signIn();
    const page = await browser.open(`${rig.url}/logout`, { fields: { 'sec-fetch-site': 'cross-site' } });
    assert.equal(page.status, 200);
    assert.match(page.text, /Sign out\?/);
    assert.equal(await isSignedIn(cookie), true);
    const done = await browser.submit(page, {});
    assert.match(done.text, /You are signed out/);
    assert.equal(await isSignedIn(cookie), false);
  });

  it('takes the form of a browser that hides the Origin of its own page', async () => {
    const { cookie } = await rig.signIn();
    const fields = { cookie, origin: 'null', 'sec-fetch-site': 'same-origin' };
    assertLeft(await rig.ask('/logout', { method: 'POST', fields }));
  });

  for (const [what, fields] of [
    ['another origin', { origin: 'https://evil.test' }],
    ['a hidden origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['a page without an origin on another site', { 'sec-fetch-site': 'cross-site' }],
  ] as const) {
    it(`refuses a POST from ${what}`, async () => {
      const { cookie } = await rig.signIn();
      const answer = await rig.ask('/logout', { method: 'POST', fields: { cookie, ...fields } });
      assert.equal(answer.status, 403);
      assert.equal(await isSignedIn(cookie), true);
    });
  }

  for (const to of ['//evil.test', '/\\evil.test', 'https://evil.test/', 'javascript:alert(1)', '/%09/evil.test']) {
    it(`refuses to lead to ${to}, and signs nobody out for it`, async () => {
      const { cookie } = await rig.signIn();
      const answer = await withCookie(`/logout?redirect_url=${encodeURIComponent(to)}`, cookie);
      assert.equal(answer.status, 403);
      assert.equal(await isSignedIn(cookie), true);
    });
  }

  it('does not believe a state that it did not seal', async () => {
    const answer = await rig.ask(`/logout?state=${encodeURIComponent('https://evil.test')}`);
    assert.equal(answer.one('location'), undefined);
    assert.match(answer.text, /You are signed out/);
  });

  it('is counted', async () => {
    const { cookie } = await rig.signIn();
    await withCookie('/logout', cookie);
    const { text } = await ask(`${rig.admin()}/metrics`);
    assert.match(text, /flytegate_sign_outs_total\{outcome="finished"\} [1-9]/);
  });
});

/** Signed out here, and on the way to the provider. */
function assertLeft(answer: Answer): void {
  assert.equal(answer.status, 302);
  assert.match(answer.all('set-cookie').join(), /__Host-flytegate=;.*Max-Age=0/);
}
