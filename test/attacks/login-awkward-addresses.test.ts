// Browsers send `\` and other scripts in a query as they are typed. Whoever opens such an address signed out is signed in and
// comes back; what could lead elsewhere, or split an answer, is left behind and never made anything of.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { returnTo } from '../../src/oidc/return-to.ts';
import { createBrowser } from '../fakes/browser.ts';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';
import { openSession } from '../server/http2-client.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

const origin = 'https://flyte.example.com';
const isOurs = (one: string) => one === origin;

describe('an address with a query that nobody escaped', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });
  /** Sent as bytes, as `fetch` would tidy it. @returns where signing in begins */
  const navigate = async (target: string, fields = ''): Promise<string> => {
    const answer = await exchangeRaw(
      { host: '127.0.0.1', port: rig.port },
      `GET ${target} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nSec-Fetch-Mode: navigate\r\n${fields}Connection: close\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 302 /, target);
    return /^location: (.*)\r$/im.exec(answer)?.[1] ?? '';
  };
  /** The address that somebody ends at. */
  const signInAt = async (location: string) => (await rig.signIn(location)).page.url.href.slice(rig.url.length);

  for (const [what, sent, back] of [
    ['a backslash', '/console/x?q=a\\b', '/console/x?q=a%5Cb'],
    ['backslashes that look like a host', '/console/x?q=\\\\evil.test', '/console/x?q=%5C%5Cevil.test'],
    ['what is escaped already', '/console/x?q=%E7%8E%8B+%5C', '/console/x?q=%E7%8E%8B+%5C'],
    ['an escaped line break', '/console/x?q=a%0ab', '/console/x'],
    ['an escaped line break, twice', '/console/x?q=a%250Db', '/console/x'],
    ['a NUL', '/console/x?q=%00', '/console/x'],
  ] as const)
    it(`that holds ${what} is come back to as ${back}`, async () => {
      const location = await navigate(sent);
      assert.equal(location, `/login?redirect_url=${encodeURIComponent(back)}`);
      assert.equal(await signInAt(location), back);
    });

  // Over HTTP/1.1 the parser refuses these bytes.
  for (const [what, sent, back] of [
    ['a backslash', '/console/x?q=a\\b', '/console/x?q=a%5Cb'],
    ['another script in UTF-8', '/console/x?q=\xe7\x8e\x8b', '/console/x?q=%E7%8E%8B'],
    ['bytes that are no UTF-8', '/console/x?q=\xe9\xff', '/console/x?q=%E9%FF'],
  ] as const)
    it(`that holds ${what} is come back to as ${back} over HTTP/2`, async () => {
      const fields = { ':path': sent, ':authority': `localhost:${rig.port}`, 'sec-fetch-mode': 'navigate' };
      const [headers] = await once(openSession(rig.port).request(fields), 'response');
      assert.equal(headers['location'], `/login?redirect_url=${encodeURIComponent(back)}`);
    });

  it('is come back to where a proxy that is trusted tells of it', async () => {
    const own = await startFakeRig({ settings: { 'server.trustedProxies': ['127.0.0.1'] } });
    const told = async (target: string) => {
      const fields = { 'x-auth-request-redirect': target };
      const page = await createBrowser().open(`${own.url}/login`, { fields });
      return page.url.href.slice(own.url.length);
    };
    assert.equal(await told('/console/x?q=a\\b'), '/console/x?q=a%5Cb');
    assert.equal(await told('/console/x?q=\xe7\x8e\x8b'), '/console/x?q=%E7%8E%8B');
    assert.equal(await told('/console/x?q=a%0ab'), '/console/x');
  });
});

describe('a place to come back to, of which only what is behind its first ? or # is written as escapes', () => {
  for (const [value, to] of [
    ['/x?q=a\\b', '/x?q=a%5Cb'],
    ['/x?q=\u738b', '/x?q=%E7%8E%8B'],
    ['/x?q=a b', '/x?q=a%20b'],
    ['/x#\\\u738b', '/x#%5C%E7%8E%8B'],
    ['/x?q=\ud83d\ude00', '/x?q=%F0%9F%98%80'],
    [`${origin}?\\@evil.test`, '/?%5C@evil.test'],
    [`${origin}/x?//evil.test\\`, '/x?//evil.test%5C'],
  ] as const)
    it(`allows ${JSON.stringify(value)}`, () =>
      assert.deepEqual(returnTo(value, origin, isOurs), { kind: 'allowed', to: origin + to }));

  for (const value of [
    '/\\evil.test?q=\\',
    '\\/evil.test?\\',
    '//evil.test?q=\u738b',
    '/\uff0fevil.test?q=\\',
    `${origin}\\@evil.test?\\`,
    `${origin}\u3002evil.test?\\`,
    'https://evil.test?\\@flyte.example.com/',
    'https://evil.test#\u738b@flyte.example.com/',
    '/x?q=\t',
    '/x?q=\r\nSet-Cookie:x',
    '/x?q=\\%0d%0aSet-Cookie:x',
    '/x?q=\u0000\\',
    '?\\evil.test',
    '#\\',
  ])
    it(`refuses ${JSON.stringify(value)}`, () => assert.equal(returnTo(value, origin, isOurs).kind, 'refused'));

  it('is judged also where it is cut in the middle of a character', () => {
    const value = `/?${'x'.repeat(1021)}\ud83d\ude00`;
    assert.equal(returnTo(value, origin, isOurs).kind, 'too-long');
  });
});
