import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { Failure } from '../../src/failure.ts';
import type { OidcRequest, Outcome } from '../../src/oidc/outcome.ts';
import { marksOf } from '../../src/session/marks.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import {
  codeOf,
  createRig,
  createVisitor,
  ORIGIN,
  OTHER_ORIGIN,
  type Rig,
  sessionOf,
  signIn,
  type Visitor,
} from './rig.ts';

describe('/logout', () => {
  let provider: FakeProvider;
  let rig: Rig;
  let visitor: Visitor;
  before(async () => {
    provider = await startProvider();
  });
  beforeEach(async () => {
    rig = createRig(provider.issuer);
    Object.assign(provider.behaviour, { metadata: {}, idToken: {} });
    delete provider.behaviour.answers.revoke;
    visitor = createVisitor();
    await signIn(rig, visitor);
  });
  afterEach(async () => {
    await rig.out.settled();
    await rig.close();
  });
  after(() => provider.stop());

  const logout = async (query = '', changes: Partial<OidcRequest> = {}): Promise<Outcome> =>
    visitor.keep(await rig.out.logout(visitor.request(query, { ...changes })));
  const urlOf = (outcome: Outcome): URL => new URL(outcome.kind === 'redirect' ? outcome.to : 'failed:');

  it('ends the session here, forgets it in the browser and goes to the provider', async () => {
    const session = await sessionOf(rig, visitor);
    const cookie = visitor.jar.get('__Host-flytegate') ?? '';
    const url = urlOf(await logout('?redirect_url=/bye'));
    assert.equal(rig.revocations.isRevoked(marksOf(session)), true);
    assert.equal(visitor.jar.size, 0);
    assert.equal(url.origin + url.pathname, `${provider.issuer}/logout`);
    assert.equal(url.searchParams.get('post_logout_redirect_uri'), `${ORIGIN}/logout`);
    assert.equal(url.searchParams.get('client_id'), 'web');
    assert.equal(decodeJwt(url.searchParams.get('id_token_hint') ?? '').sub, 'ada');
    assert.equal(url.searchParams.has('logout_hint'), false);
    // The same cookie again is worth nothing, and nobody goes to the provider with it.
    visitor.jar.set('__Host-flytegate', cookie);
    assert.equal((await logout()).kind, 'signed-out');
    assert.equal(visitor.jar.size, 0);
  });

  it('has revoked the session before the provider is spoken to', async () => {
    const session = await sessionOf(rig, visitor);
    const release = provider.hold('revoke');
    const outcome = await logout();
    assert.equal(rig.revocations.isRevoked(marksOf(session)), true);
    assert.equal(outcome.kind, 'redirect');
    release();
  });

  it('says whose session it was, by which sign-outs are counted', async () => {
    const told: unknown[] = [];
    const stop = rig.revocations.subscribe(({ of }) => told.push(of));
    const { handle, issuer, subject } = marksOf(await sessionOf(rig, visitor));
    await logout();
    stop();
    assert.deepEqual(told, [{ kind: 'session', handle, issuer, subject }]);
  });

  it('revokes the refresh token at the provider', async () => {
    const { refreshToken } = await sessionOf(rig, visitor);
    await logout();
    await rig.out.settled();
    assert.equal(provider.revoked.at(-1), refreshToken);
  });

  it('revokes the refresh token that a renewal under way brings', async () => {
    const session = await sessionOf(rig, visitor);
    const asked = provider.calls.token;
    const release = provider.hold('token');
    const renewing = rig.renewer.renew(session);
    await provider.whenAsked('token', asked + 1);
    await logout();
    release();
    const renewal = await renewing;
    await rig.out.settled();
    assert.equal(provider.revoked.at(-1), renewal.kind === 'renewed' && renewal.session.refreshToken);
  });

  it('comes back with the sealed state and ends on the wanted place, without asking and without the provider', async () => {
    const state = urlOf(await logout(`?redirect_url=${OTHER_ORIGIN}/bye`)).searchParams.get('state');
    const back = await logout(`?state=${state}`, { fetchSite: 'cross-site' });
    assert.deepEqual(back, { kind: 'redirect', to: `${OTHER_ORIGIN}/bye`, cookies: [] });
  });

  it('ends on the signed-out page when no place was asked for', async () => {
    const state = urlOf(await logout()).searchParams.get('state');
    assert.equal((await logout(`?state=${state}`, { fetchSite: 'cross-site' })).kind, 'signed-out');
  });

  it('signs nobody out for a state that was kept and is opened again later', async () => {
    const state = urlOf(await logout('?redirect_url=/bye')).searchParams.get('state');
    await signIn(rig, visitor);
    const session = await sessionOf(rig, visitor);
    await logout(`?state=${state}`, { fetchSite: 'cross-site' });
    assert.equal(rig.revocations.isRevoked(marksOf(session)), false);
    assert.equal(visitor.jar.has('__Host-flytegate'), true);
  });

  it('takes a made-up state for none', async () => {
    assert.equal((await logout('?state=x.y.z', { fetchSite: 'cross-site' })).kind, 'confirm-logout');
  });

  it('goes without a session straight to the place, and never to the provider', async () => {
    const asked = provider.calls.discovery;
    visitor.jar.clear();
    assert.deepEqual(await logout('?redirect_url=/bye'), { kind: 'redirect', to: `${ORIGIN}/bye`, cookies: [] });
    assert.deepEqual(await logout(), { kind: 'signed-out', cookies: [] });
    assert.equal(provider.calls.discovery, asked);
  });

  it('forgets a cookie that it cannot read', async () => {
    visitor.jar.set('__Host-flytegate', 'garbage');
    assert.equal((await logout()).kind, 'signed-out');
    assert.equal(visitor.jar.size, 0);
  });

  it('sends a logout_hint where it has no ID token of this session', async () => {
    visitor.jar.delete('__Secure-flytegate-idt');
    const { searchParams } = urlOf(await logout());
    assert.equal(searchParams.get('logout_hint'), 'ada');
    assert.equal(searchParams.has('id_token_hint'), false);
  });

  it('takes no ID token of an earlier session for a hint', async () => {
    const old = visitor.jar.get('__Secure-flytegate-idt') ?? '';
    visitor.jar.delete('__Host-flytegate');
    await signIn(rig, visitor);
    visitor.jar.set('__Secure-flytegate-idt', old);
    assert.equal(urlOf(await logout()).searchParams.has('id_token_hint'), false);
  });

  it('goes straight to the place where the provider has no end_session_endpoint', async () => {
    provider.behaviour.metadata = { end_session_endpoint: undefined };
    const bare = createRig(provider.issuer);
    const outcome = await bare.out.logout(visitor.request('?redirect_url=/bye'));
    assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/bye`);
    await bare.out.settled();
    await bare.close();
  });

  it('ends the session also while the provider is down, and says what it could not do', async () => {
    const down = await startProvider();
    const lonely = createRig(down.issuer);
    const lonelyVisitor = createVisitor();
    await signIn(lonely, lonelyVisitor);
    const session = await sessionOf(lonely, lonelyVisitor);
    await down.stop();
    const outcome = await lonely.out.logout(lonelyVisitor.request());
    await lonely.out.settled();
    assert.equal(outcome.kind, 'redirect', 'the metadata outlives the outage');
    assert.equal(lonely.revocations.isRevoked(marksOf(session)), true);
    assert.equal(
      lonely.logged.some(({ event }) => event === 'logout.revocation_failed'),
      true,
    );
    await lonely.close();
  });

  it('asks first when another site opened it', async () => {
    const session = await sessionOf(rig, visitor);
    for (const fetchSite of ['cross-site', 'same-site']) {
      const outcome = await logout('?redirect_url=/bye', { fetchSite });
      assert.deepEqual(outcome, {
        kind: 'confirm-logout',
        to: `/logout?redirect_url=${encodeURIComponent(`${ORIGIN}/bye`)}`,
        cookies: [],
      });
    }
    assert.equal(rig.revocations.isRevoked(marksOf(session)), false);
  });

  const posts: readonly (readonly [string, Partial<OidcRequest>, string])[] = [
    ['our own origin', { pageOrigin: ORIGIN, fetchSite: 'same-origin' }, 'redirect'],
    ['another authorized origin', { pageOrigin: OTHER_ORIGIN, fetchSite: 'same-site' }, 'redirect'],
    ['a page of ours without a referrer', { pageOrigin: 'null', fetchSite: 'same-origin' }, 'redirect'],
    ['a foreign origin', { pageOrigin: 'https://evil.test', fetchSite: 'cross-site' }, '403 origin_refused'],
    [
      'a foreign origin that claims more',
      { pageOrigin: 'https://evil.test', fetchSite: 'same-origin' },
      '403 origin_refused',
    ],
    ['a sandboxed page', { pageOrigin: 'null', fetchSite: 'cross-site' }, '403 origin_refused'],
    ['a page of a browser that does not say whose', { pageOrigin: 'null' }, '403 origin_refused'],
    ['no origin at all, another site', { fetchSite: 'cross-site' }, '403 origin_refused'],
    ['an empty origin', { pageOrigin: '', fetchSite: 'same-origin' }, '403 origin_refused'],
  ];
  for (const [from, changes, expected] of posts) {
    it(`answers a POST from ${from} with ${expected}`, async () => {
      const session = await sessionOf(rig, visitor);
      assert.equal(codeOf(await logout('', { method: 'POST', ...changes })), expected);
      assert.equal(rig.revocations.isRevoked(marksOf(session)), expected === 'redirect');
    });
  }

  it('answers other methods with 400', async () => {
    assert.equal(codeOf(await logout('', { method: 'HEAD' })), '400 login_method');
  });

  it('keeps within 3.1 KiB of cookies and address for the longest place', async () => {
    const outcome = await logout(`?redirect_url=/${'a'.repeat(990)}`);
    assert.ok(urlOf(outcome).href.length + outcome.cookies.join('').length < 3100);
  });

  it('goes without the ID token where it would make the answer too long', async () => {
    provider.behaviour.metadata = { end_session_endpoint: `${provider.issuer}/logout?tenant=${'t'.repeat(700)}` };
    const far = createRig(provider.issuer);
    const leave = async (query: string) => {
      const leaving = createVisitor();
      await signIn(far, leaving);
      return far.out.logout(leaving.request(query));
    };
    assert.equal(urlOf(await leave('?redirect_url=/bye')).searchParams.has('id_token_hint'), true);
    const outcome = await leave(`?redirect_url=/${'a'.repeat(990)}`);
    assert.equal(urlOf(outcome).searchParams.get('logout_hint'), 'ada');
    assert.ok(urlOf(outcome).href.length + outcome.cookies.join('').length < 3100);
    await far.out.settled();
    await far.close();
  });

  it('answers 503, and keeps the cookie, when the store cannot end the session', async () => {
    const failing = createRig(provider.issuer);
    failing.store.end = async () => {
      throw new Failure('store_unreachable', 'no answer');
    };
    const outcome = await failing.out.logout(visitor.request());
    assert.equal(codeOf(outcome), '503 store_unreachable');
    assert.deepEqual(outcome.cookies, []);
    await failing.close();
  });
});
