import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AppOriginsNeeds, createAppOrigins, ownOrigin } from '../../src/server/app-origins.ts';

type Route = AppOriginsNeeds['routes'][number];

const route = (host: string | undefined, access: Route['access'] = 'authenticated'): Route =>
  host === undefined ? { access } : { host, access };
const routes = [
  route(undefined),
  route('app.example.com'),
  route('app.example.com', 'public'),
  route('open.example.com', 'public'),
  route('closed.example.com', 'nobody'),
  route('app.elsewhere.com'),
  route('*.apps.example.com'),
  route('status.apps.example.com', 'public'),
  route('*.com'),
];
const create = (changes: Partial<AppOriginsNeeds> = {}) =>
  createAppOrigins({ publicUrl: 'https://flyte.example.com', cookieDomain: 'example.com', routes, ...changes });

describe('the origin of a service with a host of its own', () => {
  const apps = create();

  for (const origin of ['https://app.example.com', 'https://one.apps.example.com', 'https://a-1.apps.example.com'])
    it(`is ${origin}`, () => assert.equal(apps.has(origin), true));

  for (const [why, origin] of [
    ['no route names it', 'https://other.example.com'],
    ['its routes are public', 'https://open.example.com'],
    ['its routes are nobody’s', 'https://closed.example.com'],
    ['it has public routes of its own beside the wildcard’s', 'https://status.apps.example.com'],
    ['the cookie does not reach it', 'https://app.elsewhere.com'],
    ['the wildcard is wider than the cookie’s domain', 'https://sub.com'],
    ['a wildcard stands for one label', 'https://a.b.apps.example.com'],
    ['a wildcard stands for at least one label', 'https://apps.example.com'],
    ['a wildcard is no name', 'https://*.apps.example.com'],
    ['a label does not begin so', 'https://-a.apps.example.com'],
    ['it begins alike', 'https://app.example.com.evil.test'],
    ['it ends alike', 'https://evilapp.example.com'],
    ['another scheme', 'http://app.example.com'],
    ['another port', 'https://app.example.com:8443'],
    ['a path behind it', 'https://app.example.com/'],
    ['the default port is not written', 'https://app.example.com:443'],
    ['a fully qualified name', 'https://app.example.com.'],
    ['upper case', 'https://APP.example.com'],
    ['a user name', 'https://app.example.com@evil.test'],
    ['no origin', 'null'],
    ['nothing', ''],
  ] as const)
    it(`is not ${origin || 'empty'}: ${why}`, () => assert.equal(apps.has(origin), false));

  it('is none where the session cookie has no domain', () => {
    assert.equal(create({ cookieDomain: undefined }).has('https://app.example.com'), false);
  });

  it('has the scheme and the port of the public URL', () => {
    const local = create({ publicUrl: 'http://flyte.example.com:8080' });
    assert.equal(local.has('http://app.example.com:8080'), true);
    assert.equal(local.has('http://app.example.com'), false);
    assert.equal(local.originFor('app.example.com:8080'), 'http://app.example.com:8080');
    assert.equal(local.originFor('app.example.com'), undefined);
  });

  it('is found by its Host, with the default port or without', () => {
    for (const host of ['app.example.com', 'app.example.com:443', 'APP.example.com'])
      assert.equal(apps.originFor(host), 'https://app.example.com');
    for (const host of ['', 'flyte.example.com', 'app.example.com:8443', 'app.example.com.', 'a b', '[::1]'])
      assert.equal(apps.originFor(host), undefined, host);
  });
});

describe('the origin of pages of a Host', () => {
  for (const [host, publicUrl, scheme, origin] of [
    ['app.example.com', 'https://flyte.example.com', 'https', 'https://app.example.com'],
    ['app.example.com:443', 'https://flyte.example.com', 'https', 'https://app.example.com'],
    ['app.example.com:8443', 'https://flyte.example.com', 'https', 'https://app.example.com:8443'],
    // A proxy that is not trusted ended TLS, or nobody did: never a page that came without.
    ['app.example.com', 'https://flyte.example.com', 'http', 'https://app.example.com'],
    ['app.localhost:80', 'http://localhost', 'http', 'http://app.localhost'],
    ['app.localhost', 'http://localhost', 'https', 'https://app.localhost'],
    ['', 'https://flyte.example.com', 'https', undefined],
  ] as const)
    it(`${host || 'that is empty'} by ${scheme}, at ${publicUrl}: ${origin}`, () =>
      assert.equal(ownOrigin(host, publicUrl, scheme), origin));
});
