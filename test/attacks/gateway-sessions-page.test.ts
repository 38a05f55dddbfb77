import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createBrowser } from '../fakes/browser.ts';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

/** Another site must not end somebody's sessions, nor somebody theirs of others; and what a browser calls itself is text. */
describe('/sessions', { timeout: 60_000 }, () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig({ settings: { 'session.store': 'memory' } });
  });
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const own = { origin: 'null', 'sec-fetch-site': 'same-origin' };
  const post = (cookie: string, body: string, fields: Record<string, string> = own) =>
    rig.ask('/sessions', { method: 'POST', fields: { cookie, ...form, ...fields }, body });
  const isAlive = async (cookie: string) => (await rig.ask('/me', { fields: { cookie } })).status === 200;
  const signInAs = async (sub: string, userAgent = 'curl/8') => {
    rig.provider.behaviour.person = { ...rig.provider.behaviour.person, sub };
    const browser = createBrowser();
    const left = await browser.open(`${rig.url}/console`, { until: ({ pathname }) => pathname === '/callback' });
    await browser.open(left.url.href, { fields: { 'user-agent': userAgent } });
    const session = String(rig.log.of('login.finished').at(-1)?.['session']);
    return { cookie: browser.cookiesFor(`${rig.url}/`), session };
  };

  for (const [what, fields] of [
    ['another origin', { origin: 'https://evil.test' }],
    [
      'another origin that the browser calls same-origin',
      { origin: 'https://evil.test', 'sec-fetch-site': 'same-origin' },
    ],
    ['a hidden origin on another site', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['a hidden origin, and nothing else said', { origin: 'null' }],
    ['another site without an origin', { 'sec-fetch-site': 'cross-site' }],
    ['a sibling host', { 'sec-fetch-site': 'same-site' }],
    ['the same host on another port', { origin: 'http://localhost:1' }],
  ] as const)
    it(`takes no form from ${what}`, async () => {
      const [here, there] = [await signInAs('ada'), await signInAs('ada')];
      for (const end of ['others', 'everywhere', there.session]) {
        const { status } = await post(here.cookie, `end=${end}`, fields);
        assert.equal(status, 403);
      }
      assert.deepEqual([await isAlive(here.cookie), await isAlive(there.cookie)], [true, true]);
    });

  it('ends nothing by a link', async () => {
    const [here, there] = [await signInAs('ada'), await signInAs('ada')];
    const { status } = await rig.ask(`/sessions?end=${there.session}`, { fields: { cookie: here.cookie } });
    assert.equal(status, 200);
    assert.equal(await isAlive(there.cookie), true);
  });

  it('ends nobody else’s session, by whatever name', async () => {
    const [ada, bob] = [await signInAs('ada'), await signInAs('bob')];
    for (const end of [bob.session, 'others', '', '*', '%00', `${bob.session},`, '../x', '__proto__'])
      assert.equal((await post(ada.cookie, `end=${end}`)).status, 303, end);
    for (const body of ['', 'end=a&end=b', `session=${bob.session}`])
      assert.equal((await post(ada.cookie, body)).status, 400, body);
    assert.equal((await post(ada.cookie, `end=${'x'.repeat(10_000)}`)).status, 413);
    assert.equal(await isAlive(bob.cookie), true);
    const page = await rig.ask('/sessions', { fields: { cookie: ada.cookie } });
    assert.ok(!page.text.includes(bob.session));
  });

  it('shows nothing to somebody without a session, and ends nothing for them', async () => {
    const { cookie } = await signInAs('ada');
    const bearer = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    for (const fields of [{}, bearer, { cookie: `${cookie}x` }, { cookie, ...bearer }]) {
      assert.equal((await rig.ask('/sessions', { fields })).status, 401);
      const { status } = await rig.ask('/sessions', {
        method: 'POST',
        fields: { ...form, ...fields },
        body: 'end=others',
      });
      assert.equal(status, 401);
    }
    const navigation = await rig.ask('/sessions', { fields: { 'sec-fetch-mode': 'navigate' } });
    assert.deepEqual([navigation.status, navigation.one('location')], [302, '/login?redirect_url=%2Fsessions']);
    assert.equal(await isAlive(cookie), true);
  });

  for (const userAgent of [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    '</title></style><svg onload=alert(1)> Firefox/1 (Linux)',
    'javascript:alert(1)',
    '&lt;b&gt;',
  ])
    it(`makes no markup of a browser that calls itself ${userAgent}`, async () => {
      const subject = `xss-${userAgent.length}`;
      const there = await signInAs(subject, userAgent);
      const here = await signInAs(subject);
      for (const { cookie } of [here, there]) {
        const page = await rig.ask('/sessions', { fields: { cookie, 'user-agent': userAgent } });
        assert.equal(page.status, 200);
        assert.doesNotMatch(page.text, /alert|onerror|onfocus|<img|<svg|<script/i);
        assert.match(page.one('content-security-policy') ?? '', /^default-src 'none'; style-src 'sha256-/);
        assert.doesNotMatch(page.one('content-security-policy') ?? '', /unsafe|script-src/);
        assert.equal(page.one('cache-control'), 'no-store');
        assert.equal(page.one('referrer-policy'), 'no-referrer');
      }
    });

  it('makes no markup of an address that a trusted proxy passes on', async () => {
    const behind = await startFakeRig({ settings: { 'server.trustedProxies': ['127.0.0.0/8'] } });
    const { cookie } = await behind.signIn();
    const fields = { cookie, 'x-forwarded-for': '<b>1.2.3.4</b>, "><script>' };
    const page = await behind.ask('/sessions', { fields });
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.text, /<b>1\.2|<script/);
  });

  it('is the service’s own on hosts that are none of ours', async () => {
    const { cookie } = await signInAs('ada');
    const { text } = await rig.ask('/sessions', { fields: { cookie, host: 'app.example.com' } });
    assert.doesNotMatch(text, /Where you are signed in/);
  });
});
