import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Outcome } from '../../src/oidc/outcome.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { revocationOf } from '../session/fixtures.ts';
import { codeOf, createRig, createVisitor, ORIGIN, OTHER_ORIGIN, type Rig, sessionOf, signIn } from './rig.ts';

const placeOf = (outcome: Outcome): string => (outcome.kind === 'redirect' ? outcome.to : outcome.kind);

describe('/login', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider({ path: '/realms/flyte' });
  });
  beforeEach(() => {
    rig = createRig(provider.issuer, { idpQueryParameter: 'idp' });
  });
  after(() => provider.stop());

  it('sends the browser to the provider with PKCE S256, state, nonce and exactly our redirect URI', async () => {
    const visitor = createVisitor();
    const outcome = await rig.login(visitor.request('', { origin: OTHER_ORIGIN }));
    assert.equal(outcome.kind, 'redirect');
    if (outcome.kind !== 'redirect') return;
    const url = new URL(outcome.to);
    const parameter = (name: string) => url.searchParams.get(name);
    assert.equal(url.origin + url.pathname, `${provider.issuer}/authorize`);
    assert.equal(parameter('redirect_uri'), `${OTHER_ORIGIN}/callback`);
    assert.equal(parameter('response_type'), 'code');
    assert.equal(parameter('client_id'), 'web');
    assert.equal(parameter('scope'), 'openid profile');
    assert.equal(parameter('code_challenge_method'), 'S256');
    assert.equal(parameter('nonce')?.length, 22);
    visitor.keep(outcome);
    const [cookie = ''] = visitor.jar.values();
    const { p: verifier } = (await rig.seal.open('login-cookie', cookie)) ?? {};
    assert.equal(createHash('sha256').update(String(verifier)).digest('base64url'), parameter('code_challenge'));
    await rig.close();
  });

  it('sets one Lax login cookie of ten minutes that only this host gets', async () => {
    const { cookies } = await rig.login(createVisitor().request());
    assert.equal(cookies.length, 1);
    assert.match(
      cookies[0] ?? '',
      /^__Host-flytegate-login-[\w-]{8}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    await rig.close();
  });

  it('copies the idpQueryParameter to the provider, and nothing else', async () => {
    const outcome = await rig.login(createVisitor().request('?idp=github&prompt=none'));
    const url = new URL(outcome.kind === 'redirect' ? outcome.to : '');
    assert.equal(url.searchParams.get('idp'), 'github');
    assert.equal(url.searchParams.has('prompt'), false);
    await rig.close();
  });

  it('lets no copied parameter stand in for one of its own', async () => {
    const careless = createRig(provider.issuer, { idpQueryParameter: 'redirect_uri' });
    const outcome = await careless.login(createVisitor().request('?redirect_uri=https://evil.test/'));
    const url = new URL(outcome.kind === 'redirect' ? outcome.to : '');
    assert.deepEqual(url.searchParams.getAll('redirect_uri'), [`${ORIGIN}/callback`]);
    await careless.close();
    await rig.close();
  });

  for (const fetchMode of ['cors', 'no-cors', 'same-origin', 'websocket', '']) {
    it(`answers 401 and no cookie to Sec-Fetch-Mode: ${fetchMode || '(empty)'}`, async () => {
      const outcome = await rig.login(createVisitor().request('', { fetchMode }));
      assert.equal(codeOf(outcome), '401 login_method');
      assert.deepEqual(outcome.cookies, []);
      await rig.close();
    });
  }

  it('is opened with GET', async () => {
    const outcome = await rig.login(createVisitor().request('', { method: 'POST' }));
    assert.equal(codeOf(outcome), '400 login_method');
    assert.deepEqual(outcome.cookies, []);
    await rig.close();
  });

  it('sends a live session straight to the place, without asking the provider', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const outcome = await rig.login(visitor.request('?redirect_url=/console/x'));
    assert.deepEqual(outcome, { kind: 'redirect', to: `${ORIGIN}/console/x`, cookies: [] });
    await rig.close();
  });

  it('takes a session past its idle limit for none', async () => {
    provider.behaviour.accessTokenTtlS = 86_400;
    const visitor = createVisitor();
    await signIn(rig, visitor);
    provider.behaviour.accessTokenTtlS = 300;
    rig.advance(8 * 3_600_000);
    assert.match(placeOf(await rig.login(visitor.request())), /\/authorize\?/);
    await rig.close();
  });

  it('takes a session whose access token is dead for none: whoever renews it could not', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    rig.advance(301_000);
    assert.match(placeOf(await rig.login(visitor.request())), /\/authorize\?/);
    await rig.close();
  });

  it('takes a session that was signed out, or whose cookie came twice, for none', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const { cookies } = visitor.request();
    const twice = visitor.request('', { cookies: `${cookies}; ${cookies}` });
    assert.match(placeOf(await rig.login(twice)), /\/authorize\?/);
    rig.revocations.revoke(revocationOf((await sessionOf(rig, visitor)).id, rig.now() + 1000));
    assert.match(placeOf(await rig.login(visitor.request())), /\/authorize\?/);
    await rig.close();
  });

  for (const step of [
    '/login',
    '/callback?x',
    '/logout',
    `${ORIGIN}/logout#x`,
    `${OTHER_ORIGIN}/login?redirect_url=/login`,
  ]) {
    it(`does not go round in circles for ${step}`, async () => {
      const visitor = createVisitor();
      await signIn(rig, visitor);
      const outcome = await rig.login(visitor.request(`?redirect_url=${encodeURIComponent(step)}`));
      assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/console`);
      await rig.close();
    });
  }

  it('goes to the usual place when the wanted one is too long for a state', async () => {
    const visitor = createVisitor();
    const outcome = await signIn(rig, visitor, `?redirect_url=/${'a'.repeat(1100)}`);
    assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/console`);
    await rig.close();
  });

  it('keeps its answer within 3.1 KiB of cookies and address for the longest place', async () => {
    const visitor = createVisitor();
    for (let tab = 0; tab < 20; tab += 1) {
      const outcome = visitor.keep(await rig.login(visitor.request(`?redirect_url=/${'a'.repeat(990)}`)));
      const size = [...outcome.cookies, outcome.kind === 'redirect' ? outcome.to : ''].join('').length;
      assert.ok(size < 3100, `${size} bytes`);
    }
    assert.equal(visitor.jar.size, 12);
    await rig.close();
  });

  it('clears the oldest login, not the newest, when there are more than twelve', async () => {
    const visitor = createVisitor();
    const names: string[] = [];
    for (let tab = 0; tab < 12; tab += 1) {
      visitor.keep(await rig.login(visitor.request()));
      names.push([...visitor.jar.keys()].find((name) => !names.includes(name)) ?? '');
      rig.advance(1000);
    }
    visitor.keep(await rig.login(visitor.request()));
    assert.equal(visitor.jar.has(names[0] ?? ''), false);
    for (const name of names.slice(1)) assert.equal(visitor.jar.has(name), true);
    await rig.close();
  });

  it('answers 503 with a way to try again, and no cookie, when the provider is down', async () => {
    const down = await startProvider();
    const lonely = createRig(down.issuer);
    await down.stop();
    const outcome = await lonely.login(createVisitor().request('?redirect_url=/x'));
    assert.equal(codeOf(outcome), '503 issuer_unreachable');
    assert.deepEqual(outcome.cookies, []);
    const place = encodeURIComponent(`${ORIGIN}/x`);
    assert.equal(outcome.kind === 'failed' && outcome.retry, `/login?redirect_url=${place}`);
    await lonely.close();
    await rig.close();
  });
});
