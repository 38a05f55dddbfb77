import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Session } from '../../src/session/session.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { newKey } from '../fakes/provider-state.ts';
import { createRig, createVisitor, type Rig, sessionOf, signIn } from './rig.ts';

describe('renewing a session', () => {
  let provider: FakeProvider;
  let rig: Rig;
  let session: Session;
  before(async () => {
    provider = await startProvider({ now: () => rig.now() });
  });
  beforeEach(async () => {
    rig = createRig(provider.issuer, { timeoutMs: 2000 });
    Object.assign(provider.behaviour, { idToken: {}, userinfo: {}, metadata: {}, accessTokenTtlS: 300 });
    Object.assign(provider.behaviour, { refreshTokens: true, strictRotation: true });
    for (const asked of ['token', 'userinfo', 'jwks'] as const) delete provider.behaviour.answers[asked];
    const visitor = createVisitor();
    await signIn(rig, visitor);
    session = await sessionOf(rig, visitor);
  });
  afterEach(() => rig.close());
  after(() => provider.stop());

  const renew = async (old = session): Promise<Session> => {
    const renewal = await rig.renewer.renew(old);
    assert.equal(renewal.kind, 'renewed');
    return renewal.kind === 'renewed' ? renewal.session : old;
  };

  it('keeps id, start and person, and moves on refresh token and times', async () => {
    rig.advance(280_000);
    const renewed = await renew();
    assert.equal(renewed.id, session.id);
    assert.equal(renewed.startedAt, session.startedAt);
    assert.notEqual(renewed.refreshToken, session.refreshToken);
    assert.ok(renewed.accessExpiresAt >= session.accessExpiresAt + 270_000);
  });

  it('gives stragglers that still carry an older cookie the newest result, without asking again', async () => {
    rig.advance(280_000);
    const second = await renew();
    rig.advance(280_000);
    const third = await renew(second);
    const asked = provider.calls.token;
    for (const old of [session, second, session]) assert.equal((await renew(old)).refreshToken, third.refreshToken);
    assert.equal(provider.calls.token, asked);
  });

  it('renews the newest form for a straggler that comes when that one is due too', async () => {
    rig.advance(280_000);
    const second = await renew();
    rig.advance(400_000);
    const third = await renew(session);
    assert.notEqual(third.refreshToken, second.refreshToken);
    assert.equal(provider.tokenRequests.at(-1)?.get('refresh_token'), second.refreshToken);
  });

  it('moves nobody back: the later sighting of both counts', async () => {
    rig.advance(280_000);
    await renew();
    const straggler = { ...session, seenAt: session.seenAt + 200_000 };
    assert.equal((await renew(straggler)).seenAt, straggler.seenAt);
  });

  it('keeps the old refresh token where no new one comes, and shares by it all the same', async () => {
    provider.behaviour.strictRotation = false;
    const tokens = { access_token: 'a', token_type: 'Bearer', expires_in: 300 };
    provider.behaviour.answers.token = { status: 200, body: JSON.stringify(tokens) };
    rig.advance(280_000);
    const asked = provider.calls.token;
    const renewed = await renew();
    assert.equal(renewed.refreshToken, session.refreshToken);
    await renew();
    assert.equal(provider.calls.token, asked + 1);
    rig.advance(280_000);
    await renew(renewed);
    assert.equal(provider.calls.token, asked + 2);
  });

  it('goes on from what another process made of the same refresh token', async () => {
    provider.behaviour.strictRotation = false;
    const tokens = { access_token: 'a', token_type: 'Bearer', expires_in: 300 };
    provider.behaviour.answers.token = { status: 200, body: JSON.stringify(tokens) };
    // So that what is known of the person comes from the session alone.
    provider.behaviour.answers.userinfo = { status: 503 };
    rig.advance(280_000);
    const ours = await renew();
    const theirs = { ...ours, accessExpiresAt: ours.accessExpiresAt + 60_000, claims: { sub: 'ada', name: 'Newer' } };
    rig.advance(400_000);
    assert.equal((await renew(theirs)).claims.name, 'Newer');
  });

  it('takes in what userinfo and the new ID token say of the person, in the order of a sign-in', async () => {
    provider.behaviour.idToken = { name: 'From The Token', given_name: 'Ada' };
    provider.behaviour.userinfo = {
      name: 'Ada King',
      groups: ['new'],
      email: 'countess@example.com',
      email_verified: undefined,
    };
    rig.advance(280_000);
    const { claims } = await renew();
    assert.deepEqual(claims, {
      sub: 'ada',
      name: 'Ada King',
      given_name: 'Ada',
      preferred_username: 'ada',
      groups: ['new'],
      // Without the old address's proof, which must not go over to the new one.
      email: 'countess@example.com',
    });
  });

  it('asks userinfo once, with the new access token, however many wait', async () => {
    rig.advance(280_000);
    const [tokens, userinfo] = [provider.calls.token, provider.calls.userinfo];
    const release = provider.hold('userinfo');
    const waiting = Array.from({ length: 20 }, () => rig.renewer.renew(session));
    await provider.whenAsked('userinfo', userinfo + 1);
    waiting.push(...Array.from({ length: 20 }, () => rig.renewer.renew(session)));
    release();
    const renewals = await Promise.all(waiting);
    const made = renewals.map((renewal) => renewal.kind === 'renewed' && renewal.session.refreshToken);
    assert.equal(new Set(made).size, 1);
    assert.equal(provider.calls.token, tokens + 1);
    assert.equal(provider.calls.userinfo, userinfo + 1);
  });

  it('follows the ID token alone where the provider has no userinfo', async () => {
    provider.behaviour.metadata = { userinfo_endpoint: undefined };
    await rig.close();
    rig = createRig(provider.issuer, { claims: ['team', 'level'] });
    provider.behaviour.idToken = { team: 'x', level: 1, groups: ['admins'] };
    const visitor = createVisitor();
    await signIn(rig, visitor);
    provider.behaviour.idToken = { level: 2, name: 'Ada King' };
    rig.advance(280_000);
    const { claims } = await renew(await sessionOf(rig, visitor));
    assert.deepEqual([claims.name, claims.groups, claims.additional], ['Ada King', undefined, { level: 2 }]);
  });

  it('leaves the person as known where neither userinfo nor an ID token is to be had', async () => {
    provider.behaviour.metadata = { userinfo_endpoint: undefined };
    await rig.close();
    rig = createRig(provider.issuer);
    provider.behaviour.answers.token = {
      status: 200,
      body: '{"access_token":"a","token_type":"Bearer","expires_in":300,"refresh_token":"next"}',
    };
    const renewed = await renew();
    assert.deepEqual(renewed.claims, session.claims);
    assert.equal(renewed.refreshToken, 'next');
  });

  for (const [what, answer] of [
    ['answers 503', { status: 503 }],
    ['answers 401', { status: 401, body: '{"error":"invalid_token"}' }],
    ['answers garbage', { status: 200, body: '<html>' }],
    ['names nobody', { status: 200, body: '{"groups":["root"]}' }],
  ] as const) {
    it(`keeps the new tokens, and all that was known of the person, when userinfo ${what}`, async () => {
      provider.behaviour.idToken = { name: 'Ada King', groups: ['frozen-at-sign-in'] };
      provider.behaviour.answers.userinfo = answer;
      rig.advance(280_000);
      const renewed = await renew();
      assert.notEqual(renewed.refreshToken, session.refreshToken);
      assert.deepEqual(renewed.claims, session.claims);
      const { facts } = rig.logged.find(({ event }) => event === 'renewal.userinfo_failed') ?? assert.fail();
      assert.match(String(facts['cause']), /Failure/);
      delete provider.behaviour.answers.userinfo;
      rig.advance(280_000);
      assert.deepEqual((await renew(renewed)).claims.groups, ['frozen-at-sign-in']);
    });
  }

  it('gives userinfo what is left of the time for one exchange, and no more', async () => {
    const releaseToken = provider.hold('token');
    const tokens = provider.calls.token;
    const renewing = renew();
    await provider.whenAsked('token', tokens + 1);
    const release = provider.hold('userinfo');
    rig.advance(1990);
    releaseToken();
    const renewed = await renewing;
    release();
    const { facts } = rig.logged.find(({ event }) => event === 'renewal.userinfo_failed') ?? assert.fail();
    assert.match(String(facts['cause']), /no answer in (?:\d|10) ms/);
    assert.notEqual(renewed.refreshToken, session.refreshToken);
    assert.deepEqual(renewed.claims, session.claims);
  });

  it('is refused when the provider says invalid_grant, and does not ask again for a minute', async () => {
    provider.behaviour.answers.token = { status: 400, body: '{"error":"invalid_grant"}' };
    const asked = provider.calls.token;
    assert.deepEqual(await rig.renewer.renew(session), { kind: 'refused' });
    assert.deepEqual(await rig.renewer.renew(session), { kind: 'refused' });
    assert.equal(provider.calls.token, asked + 1);
  });

  it('is refused when the new ID token is about somebody else, and asks userinfo nothing then', async () => {
    provider.behaviour.idToken = { sub: 'mallory' };
    const asked = provider.calls.userinfo;
    assert.deepEqual(await rig.renewer.renew(session), { kind: 'refused' });
    assert.equal(provider.calls.userinfo, asked);
  });

  it('is refused when userinfo is about somebody else', async () => {
    provider.behaviour.userinfo = { sub: 'mallory' };
    assert.deepEqual(await rig.renewer.renew(session), { kind: 'refused' });
  });

  it('keeps the new tokens, and the old claims, when the ID token is signed by a key that is not known yet', async () => {
    const keys = JSON.stringify({ keys: [provider.publicJwk()] });
    provider.behaviour.answers.jwks = { status: 200, body: keys };
    provider.behaviour.idToken = { name: 'Nobody Verified' };
    await provider.rotateKeys({ keepOld: false });
    const renewed = await renew();
    assert.notEqual(renewed.refreshToken, session.refreshToken, 'the old one is spent');
    assert.deepEqual(renewed.claims, session.claims);
  });

  for (const [what, claims] of [
    ['from the future', { iat: Math.floor(Date.now() / 1000) + 7200 }],
    ['past its expiry', { iat: Math.floor(Date.now() / 1000) - 7200, exp: Math.floor(Date.now() / 1000) - 3600 }],
    ['not valid yet', { nbf: Math.floor(Date.now() / 1000) + 3600 }],
  ] as const) {
    it(`keeps the new tokens when the ID token is ${what}, and names the clock`, async () => {
      provider.behaviour.idToken = { ...claims };
      const renewed = await renew();
      assert.notEqual(renewed.refreshToken, session.refreshToken, 'the old one is spent');
      const line = rig.logged.find(({ event }) => event === 'renewal.id_token_unread');
      assert.match(String(line?.facts['cause']), /clocks/);
    });
  }

  it('believes no ID token with a wrong signature, and says so as a failure', async () => {
    await provider.rotateKeys({ keepOld: false });
    const { jwk } = await newKey();
    const keys = JSON.stringify({ keys: [{ ...jwk, kid: provider.publicJwk().kid }] });
    provider.behaviour.answers.jwks = { status: 200, body: keys };
    const renewal = await rig.renewer.renew(session);
    assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'renewal_failed');
  });

  it('keeps the new tokens, and the old claims, when the keys cannot be asked for', async () => {
    provider.behaviour.answers.jwks = { status: 503 };
    provider.behaviour.idToken = { name: 'Nobody Verified' };
    // What the unread ID token says, and userinfo does not, must not be taken for gone.
    provider.behaviour.userinfo = { name: undefined };
    await provider.rotateKeys({ keepOld: false });
    const renewed = await renew();
    assert.notEqual(renewed.refreshToken, session.refreshToken);
    assert.deepEqual(renewed.claims, session.claims);
  });

  it('fails without ending the session while the provider is down, and then leaves it alone for 1, 2, 4, 5 seconds', async () => {
    provider.behaviour.answers.token = { status: 503 };
    for (const [pause, total] of [
      [1000, 1],
      [2000, 2],
      [4000, 3],
      [5000, 4],
      [5000, 5],
    ] as const) {
      const before = provider.calls.token;
      const renewal = await rig.renewer.renew(session);
      assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'issuer_unreachable');
      assert.equal(provider.calls.token, before + 1, `attempt ${total}`);
      rig.advance(pause - 100);
      assert.equal((await rig.renewer.renew(session)).kind, 'failed');
      assert.equal(provider.calls.token, before + 1, `pause ${total}`);
      rig.advance(101);
    }
    delete provider.behaviour.answers.token;
    await renew();
  });

  it('lets one dead provider be found dead once, not once per session', async () => {
    const other = createVisitor();
    await signIn(rig, other);
    const second = await sessionOf(rig, other);
    provider.behaviour.answers.token = { status: 503 };
    const asked = provider.calls.token;
    await rig.renewer.renew(session);
    assert.equal((await rig.renewer.renew(second)).kind, 'failed');
    assert.equal(provider.calls.token, asked + 1);
  });

  it('does not make other sessions wait for one with a bad answer', async () => {
    const other = createVisitor();
    await signIn(rig, other);
    const second = await sessionOf(rig, other);
    provider.behaviour.answers.token = { status: 400, body: '{"error":"invalid_request"}' };
    assert.equal((await rig.renewer.renew(session)).kind, 'failed');
    delete provider.behaviour.answers.token;
    await renew(second);
  });

  it('fails when nobody answers in time', async () => {
    await rig.close();
    rig = createRig(provider.issuer, { timeoutMs: 500 });
    await rig.provider.metadata();
    const release = provider.hold('token');
    const renewal = await rig.renewer.renew(session);
    release();
    assert.equal(renewal.kind === 'failed' && renewal.cause.code, 'issuer_unreachable');
  });

  it("never sends one provider's refresh token to another", async () => {
    const asked = provider.calls.token;
    assert.deepEqual(await rig.renewer.renew({ ...session, issuer: 'https://old.example.com' }), { kind: 'refused' });
    assert.equal(provider.calls.token, asked);
  });

  it('hands no session to another that carries the same refresh token', async () => {
    await renew();
    assert.deepEqual(await rig.renewer.renew({ ...session, id: 'another-id-of-22-chars' }), { kind: 'refused' });
  });

  it('tells sign-out the newest refresh token, after a renewal under way', async () => {
    const release = provider.hold('token');
    const renewing = rig.renewer.renew(session);
    const latest = rig.renewer.latest(session);
    release();
    const renewal = await renewing;
    assert.equal((await latest).refreshToken, renewal.kind === 'renewed' && renewal.session.refreshToken);
    assert.equal(await rig.renewer.latest({ ...session, refreshToken: 'unknown' }).then(({ id }) => id), session.id);
  });
});
