import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { createBrowser, type Visited } from '../fakes/browser.ts';
import { headBytes } from './ask.ts';
import { type DemoRig, type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

describe('signing in through a certified provider', () => {
  let rig: DemoRig;
  before(async () => {
    rig = await startDemoRig();
  });

  it('leads from a page through the provider back to that page, with its query', async () => {
    const { page, browser } = await rig.signIn('ada', '/api/v1/whoami?a=1&b=%C3%BC%20x');
    assert.equal(page.url.href, `${rig.url}/api/v1/whoami?a=1&b=%C3%BC%20x`);
    assert.equal(page.status, 200);
    const me = await rig.ask('/me', { fields: { cookie: browser.cookiesFor(`${rig.url}/me`) } });
    assert.equal(me.json()['subject'], 'ada');
  });

  it('tells the two people apart in two browsers', async () => {
    const both = await Promise.all([rig.signIn('ada'), rig.signIn('zoe')]);
    const names = both.map(async ({ cookie }) => (await rig.ask('/me', { fields: { cookie } })).json()['name']);
    assert.deepEqual(await Promise.all(names), ['Ada Okafor', 'Zoë Núñez']);
  });

  it('lets nobody in with a wrong password', async () => {
    const browser = createBrowser();
    const form = await browser.open(`${rig.url}/console`);
    const refused = await browser.submit(form, { user: 'ada', password: 'wrong' });
    assert.equal(refused.status, 403);
    assert.equal(refused.url.origin, rig.issuer);
    const me = await rig.ask('/me', { fields: { cookie: browser.cookiesFor(`${rig.url}/`) } });
    assert.equal(me.status, 401);
  });

  it('makes a new session at each sign-in of the same person', async () => {
    const first = await rig.signIn('ada');
    const second = await rig.signIn('ada');
    assert.notEqual(first.cookie, second.cookie);
    const ids = rig.log.of('login.finished').map((line) => line['session']);
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe('what is asked of the provider', () => {
  let rig: FakeRig;
  let asked: URLSearchParams;
  before(async () => {
    rig = await startFakeRig();
    asked = (await toProvider(rig, '/login?idp=github&redirect_url=/console')).url.searchParams;
  });

  it('has PKCE S256, state, nonce, and the address that the browser came to', async () => {
    assert.equal(asked.get('response_type'), 'code');
    assert.equal(asked.get('code_challenge_method'), 'S256');
    assert.match(asked.get('code_challenge') ?? '', /^[\w-]{43}$/);
    assert.match(asked.get('nonce') ?? '', /^[\w-]{22,}$/);
    assert.equal(asked.get('redirect_uri'), `${rig.url}/callback`);
  });

  it('carries on the configured query parameter of /login', () => assert.equal(asked.get('idp'), 'github'));

  it('redeems the code with the verifier of the challenge', async () => {
    const start = await toProvider(rig, '/console');
    await start.browser.open(start.url.href);
    const verifier = rig.provider.tokenRequests.at(-1)?.get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    assert.equal(challenge, start.url.searchParams.get('code_challenge'));
  });
});

describe('signing in with many tabs', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  it('brings each of ten tabs at once to its own page', async () => {
    const browser = createBrowser();
    const paths = Array.from({ length: 10 }, (_, i) => `/api/v1/whoami?tab=${i}`);
    const starts = await Promise.all(paths.map((path) => toProvider(rig, path, browser)));
    const ends = await Promise.all(starts.map(({ url }) => browser.open(url.href)));
    assert.deepEqual(
      ends.map(({ url, status }) => [url.pathname + url.search, status]),
      paths.map((path) => [path, 200]),
    );
  });

  it('keeps at most twelve sign-ins under way in a browser, the newest', async () => {
    const browser = createBrowser();
    const starts: Visited[] = [];
    for (let i = 0; i < 20; i++) {
      rig.move(1);
      starts.push(await toProvider(rig, `/api/v1/whoami?tab=${i}`, browser));
    }
    const cookies = browser.cookiesFor(`${rig.url}/`).match(/__Host-flytegate-login-/g);
    assert.equal(cookies?.length, 12);
    const last = await browser.open(starts.at(-1)?.url.href ?? '');
    assert.equal(last.url.search, '?tab=19');
    const evicted = await browser.open(starts[0]?.url.href ?? '');
    assert.equal(evicted.url.search, '?tab=0', 'a tab that was pushed out rides on the live session');
  });
});

describe('signing in from a tab that was left open', () => {
  const start = async () => {
    const rig = await startFakeRig();
    const browser = createBrowser();
    const stale = await toProvider(rig, '/api/v1/whoami?tab=stale', browser);
    rig.move(601_000);
    return { rig, browser, stale: stale.url.href };
  };

  it('begins again for the same page, once ten minutes are over', async () => {
    const { rig, browser, stale } = await start();
    const page = await browser.open(stale);
    assert.deepEqual([page.url.pathname, page.status], ['/callback', 401]);
    assert.equal(rig.provider.calls.token, 0, 'its code is not redeemed');
    const again = /href="(\/login\?redirect_url=[^"]*)"/.exec(page.text)?.[1] ?? '';
    const done = await browser.open(rig.url + again);
    assert.deepEqual([done.url.pathname + done.url.search, done.status], ['/api/v1/whoami?tab=stale', 200]);
  });

  it('goes straight there when somebody has signed in elsewhere in the same browser meanwhile', async () => {
    const { rig, browser, stale } = await start();
    await browser.open(`${rig.url}/console`);
    const redeemed = rig.provider.calls.token;
    const page = await browser.open(stale);
    assert.deepEqual([page.url.pathname + page.url.search, page.status], ['/api/v1/whoami?tab=stale', 200]);
    assert.equal(rig.provider.calls.token, redeemed);
  });
});

describe('the way back that /login is told', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  it('is redirect_url alone: the rd that ingress-nginx appends says nothing', async () => {
    for (const rd of ['https://evil.test/', '/theirs', `${rig.url}/theirs&rd=/theirs`]) {
      const page = await createBrowser().open(`${rig.url}/login?redirect_url=/api/v1/whoami&rd=${rd}`);
      assert.deepEqual([page.url.pathname, page.status], ['/api/v1/whoami', 200]);
      const without = await createBrowser().open(`${rig.url}/login?rd=${rd}`);
      assert.deepEqual([without.url.pathname, without.status], ['/console', 200]);
    }
  });
});

describe('the cookies of one browser', () => {
  it('stay under 6 KiB together, however many sign-ins are under way and however large the person', async () => {
    const rig = await startFakeRig();
    let largest = 0;
    for (let groups = 0; groups <= 120; groups += 8) {
      rig.move(60_000);
      rig.provider.behaviour.userinfo = { groups: Array.from({ length: groups }, (_, i) => `a-group-of-people-${i}`) };
      const browser = createBrowser();
      const starts: Visited[] = [];
      for (let i = 0; i < 14; i++) {
        rig.move(1);
        starts.push(await toProvider(rig, `/login?redirect_url=/${'x'.repeat(900)}`, browser));
      }
      await browser.open(starts.at(-1)?.url.href ?? '');
      const cookies = browser.cookiesFor(`${rig.url}/logout`);
      assert.ok(cookies.length < 6144, `${cookies.length} bytes with ${groups} groups`);
      largest = Math.max(largest, cookies.length);
    }
    assert.ok(largest > 4096, `no more than ${largest} bytes were tried`);
  });
});

describe('a sign-in that fails', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  it('ends on a page with a reference that stands in the log, and none of the provider’s words', async () => {
    rig.provider.behaviour.authorizeResponse = {
      code: undefined,
      error: 'access_denied',
      error_description: '<script>alert(1)</script>',
    };
    const page = await createBrowser().open(`${rig.url}/console`);
    rig.provider.behaviour.authorizeResponse = {};
    assert.equal(page.status, 403);
    assert.doesNotMatch(page.text, /script/);
    assert.match(page.text, /Try again/);
    const reference = /Reference <code>([\w-]+)<\/code>/.exec(page.text)?.[1];
    const line = rig.log.lines.find((one) => one['id'] === reference || one['reference'] === reference);
    assert.equal(line?.['code'], 'login_denied');
  });

  it('sets no session', async () => {
    rig.provider.behaviour.idToken = { nonce: 'another' };
    const browser = createBrowser();
    const page = await browser.open(`${rig.url}/console`);
    rig.provider.behaviour.idToken = {};
    assert.equal(page.status, 403);
    assert.equal(browser.cookiesFor(`${rig.url}/`), '');
  });

  it('explains itself instead of going round in circles when no session ever comes back', async () => {
    const browser = createBrowser();
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      const page = await browser.open(`${rig.url}/login`, { until: (url) => url.pathname === '/console' });
      browser.forget('__Host-flytegate');
      statuses.push(page.status);
      if (page.status === 400) assert.match(page.text, /does not keep the session/);
    }
    assert.deepEqual(statuses, [302, 302, 302, 400]);
  });

  it('is not begun for what is no navigation', async () => {
    for (const mode of ['cors', 'no-cors', 'websocket', 'same-origin']) {
      const { status, all } = await rig.ask('/login', { fields: { 'sec-fetch-mode': mode } });
      assert.deepEqual([mode, status, all('set-cookie')], [mode, 401, []]);
    }
  });
});

describe('signing in with SameSite=Strict', () => {
  it('answers /callback with a page that goes on by itself', async () => {
    const rig = await startFakeRig({
      settings: { 'auth.userAuth.cookieSetting.sameSitePolicy': 'StrictMode' },
    });
    const start = await toProvider(rig, '/console?x=1');
    assert.match(start.headers.getSetCookie().join(), /SameSite=Lax/, 'a Strict one would not come back');
    const page = await start.browser.open(start.url.href);
    assert.equal(page.status, 200);
    assert.match(page.text, new RegExp(`http-equiv="refresh" content="0;url=${rig.url}/console\\?x=1"`));
    assert.match(
      page.headers.getSetCookie().find((one) => one.startsWith('__Host-flytegate=')) ?? '',
      /SameSite=Strict/,
    );
  });
});

describe('the heads of our answers', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  it('stay under 3.5 KiB from /login to the session, however large the person', async () => {
    const statuses = new Set<number>();
    for (let groups = 0; groups <= 120; groups += 10) {
      rig.move(60_000);
      rig.provider.behaviour.person = {
        sub: 'ada',
        groups: Array.from({ length: groups }, (_, i) => `a-group-of-people-${i}`),
      };
      const browser = createBrowser();
      for (let i = 0; i < 13; i++)
        assertSmall(await toProvider(rig, `/login?redirect_url=/${'x'.repeat(900)}`, browser));
      const start = await toProvider(rig, `/login?redirect_url=/${'x'.repeat(900)}`, browser);
      assertSmall(start);
      const back = await browser.open(start.url.href, { until: (url) => url.pathname === '/callback' });
      const done = await rig.ask(back.url.pathname + back.url.search, {
        fields: { cookie: browser.cookiesFor(back.url.href) },
      });
      assertSmall(done);
      statuses.add(done.status);
      const session = done
        .all('set-cookie')
        .find((one) => one.startsWith('__Host-flytegate='))
        ?.split(';')[0];
      if (session !== undefined) assertSmall(await rig.ask('/me', { fields: { cookie: session } }));
    }
    assert.ok(statuses.has(403), 'the largest did not fit in a cookie, and was told so');
    assert.ok(statuses.has(302) || statuses.has(200));
  });

  it('forbid storing, and give no referrer; pages have a strict policy', async () => {
    const paths = [
      '/login',
      '/login?redirect_url=//evil.test',
      '/callback',
      '/callback?state=x&code=y',
      '/logout',
      '/me',
    ];
    const documents = [
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
      '/config/v1/flyte_client',
    ];
    for (const path of [...paths, ...documents]) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        const answer = await rig.ask(path, { method });
        const what = `${method} ${path} (${answer.status})`;
        assert.match(answer.one('cache-control') ?? '', /no-store/, what);
        assert.equal(answer.one('referrer-policy'), 'no-referrer', what);
        if (!answer.one('content-type')?.startsWith('text/html')) continue;
        const policy = answer.one('content-security-policy') ?? '';
        assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/, what);
        assert.doesNotMatch(policy, /unsafe|\*/, what);
      }
    }
  });
});

/** Goes to a page and stops where the provider would be asked. */
async function toProvider(rig: FakeRig, path: string, browser = createBrowser()) {
  const stopped = await browser.open(rig.url + path, { until: (url) => url.origin === rig.issuer });
  return { ...stopped, browser };
}

function assertSmall(answer: Parameters<typeof headBytes>[0]): void {
  const bytes = headBytes(answer);
  assert.ok(bytes <= 3584, `${bytes} bytes`);
}
