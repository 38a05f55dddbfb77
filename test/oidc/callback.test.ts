import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import {
  codeOf,
  createRig,
  createVisitor,
  ORIGIN,
  type Rig,
  type RigOptions,
  sessionOf,
  signIn,
  throughProvider,
} from './rig.ts';

describe('/callback', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
  });
  beforeEach(() => {
    rig = createRig(provider.issuer);
    Object.assign(provider.behaviour, {
      idToken: {},
      userinfo: {},
      metadata: {},
      authorizeResponse: {},
      refreshTokens: true,
    });
    Object.assign(provider.behaviour, { issParameter: true, accessTokenTtlS: 300 });
    for (const asked of ['token', 'userinfo', 'jwks'] as const) delete provider.behaviour.answers[asked];
  });
  afterEach(() => rig.close());
  after(() => provider.stop());

  const using = async (options: RigOptions) => {
    await rig.close();
    rig = createRig(provider.issuer, options);
  };

  it('ends a sign-in: one session cookie, the login cookie cleared, on to the wanted place', async () => {
    const visitor = createVisitor();
    const outcome = await signIn(rig, visitor, '?redirect_url=/console/projects');
    assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/console/projects`);
    assert.deepEqual([...visitor.jar.keys()].sort(), ['__Host-flytegate', '__Secure-flytegate-idt']);
    const session = await sessionOf(rig, visitor);
    assert.equal(session.issuer, provider.issuer);
    assert.equal(session.claims.sub, 'ada');
    assert.equal(session.claims.email_verified, true);
    assert.match(session.id, /^[\w-]{22}$/);
    assert.equal(session.accessExpiresAt - session.startedAt, 300_000);
    assert.equal(session.renewAt, session.accessExpiresAt - 30_000);
  });

  it('gives every sign-in a session id of its own', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const first = await sessionOf(rig, visitor);
    visitor.jar.delete('__Host-flytegate');
    await signIn(rig, visitor);
    assert.notEqual((await sessionOf(rig, visitor)).id, first.id);
  });

  it('logs who signed in by digest, and nothing secret', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const { refreshToken = '' } = await sessionOf(rig, visitor);
    const text = JSON.stringify(rig.logged);
    assert.match(text, /login\.finished/);
    for (const secret of [refreshToken, 'ada', 'eyJ', visitor.jar.get('__Host-flytegate') ?? 'none']) {
      assert.equal(text.includes(secret), false, secret);
    }
  });

  it('shows userinfo before the ID token, and only the claims it was told to keep', async () => {
    await using({ claims: ['department'] });
    provider.behaviour.idToken = { name: 'From The Token', department: 'research', secret_note: 'x' };
    provider.behaviour.userinfo = { name: 'From Userinfo', level: 3 };
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const { claims } = await sessionOf(rig, visitor);
    assert.equal(claims.name, 'From Userinfo');
    assert.deepEqual(claims.additional, { department: 'research' });
  });

  it('answers with a refresh instead of a redirect under SameSite=Strict', async () => {
    await using({ sameSite: 'strict' });
    const outcome = await signIn(rig, createVisitor(), '?redirect_url=/x');
    assert.equal(outcome.kind, 'refresh');
    assert.equal(outcome.kind === 'refresh' && outcome.to, `${ORIGIN}/x`);
  });

  it('answers with a refresh when cookie and address together are too long for nginx', async () => {
    provider.behaviour.userinfo = { groups: Array.from({ length: 5 }, (_, n) => `${n}-${'g'.repeat(250)}`) };
    const outcome = await signIn(rig, createVisitor(), `?redirect_url=/${'a'.repeat(950)}`);
    assert.equal(outcome.kind, 'refresh');
    assert.ok(outcome.cookies.join('').length < 3100);
  });

  it('leaves the ID token out when it is too long for a cookie; a 64 KB ID token still signs in', async () => {
    provider.behaviour.idToken = { pad: 'x'.repeat(65_536) };
    const visitor = createVisitor();
    assert.equal((await signIn(rig, visitor)).kind, 'redirect');
    assert.deepEqual([...visitor.jar.keys()], ['__Host-flytegate']);
  });

  it('says which claim does not fit into the session', async () => {
    provider.behaviour.userinfo = { groups: Array.from({ length: 40 }, (_, n) => `${n}-${'g'.repeat(100)}`) };
    const visitor = createVisitor();
    const outcome = await signIn(rig, visitor);
    assert.equal(codeOf(outcome), '403 session_too_large');
    assert.equal(outcome.kind === 'failed' && outcome.about, 'the claim groups');
    assert.equal(visitor.jar.size, 0);
  });

  it('lets ten tabs sign in at once', async () => {
    const visitor = createVisitor();
    const tabs = await Promise.all(
      Array.from({ length: 10 }, async (_, n) =>
        visitor.keep(await rig.login(visitor.request(`?redirect_url=/tab/${n}`))),
      ),
    );
    const backs = await Promise.all(tabs.map(throughProvider));
    const ended = await Promise.all(backs.map((back) => rig.callback(visitor.request(back))));
    assert.deepEqual(
      ended.map((outcome) => outcome.kind === 'redirect' && outcome.to),
      Array.from({ length: 10 }, (_, n) => `${ORIGIN}/tab/${n}`),
    );
  });

  it('sends a stale tab whose session is alive where it wanted', async () => {
    const visitor = createVisitor();
    const stale = visitor.keep(await rig.login(visitor.request('?redirect_url=/stale')));
    const back = await throughProvider(stale);
    await signIn(rig, visitor);
    rig.advance(200_000);
    visitor.jar.delete([...visitor.jar.keys()].find((name) => name.startsWith(rig.cookies.loginPrefix)) ?? '');
    assert.deepEqual(await rig.callback(visitor.request(back)), {
      kind: 'redirect',
      to: `${ORIGIN}/stale`,
      cookies: [],
    });
  });

  it('refuses a login that took longer than ten minutes, with a way to begin again', async () => {
    const visitor = createVisitor();
    const back = await throughProvider(visitor.keep(await rig.login(visitor.request('?redirect_url=/x'))));
    rig.advance(600_001);
    const outcome = await rig.callback(visitor.request(back));
    assert.equal(codeOf(outcome), '401 login_state_missing');
    assert.equal(
      outcome.kind === 'failed' && outcome.retry,
      `/login?redirect_url=${encodeURIComponent(`${ORIGIN}/x`)}`,
    );
  });

  it('answers 503 when the token endpoint, userinfo or the keys cannot be had, and sets no session', async () => {
    for (const asked of ['token', 'userinfo', 'jwks'] as const) {
      await using({});
      provider.behaviour.answers[asked] = { status: 502, body: '<h1>Bad Gateway</h1>' };
      const visitor = createVisitor();
      const outcome = await signIn(rig, visitor);
      assert.equal(codeOf(outcome), asked === 'jwks' ? '503 keys_unreachable' : '503 issuer_unreachable', asked);
      assert.equal(visitor.jar.size, 0);
      delete provider.behaviour.answers[asked];
    }
  });

  it('answers 403 when the provider refuses the code', async () => {
    provider.behaviour.answers.token = {
      status: 400,
      body: '{"error":"invalid_grant","error_description":"<b>no</b>"}',
    };
    const outcome = await signIn(rig, createVisitor());
    assert.equal(codeOf(outcome), '403 login_exchange_failed');
    assert.equal(JSON.stringify(outcome).includes('<b>'), false);
  });

  it('speaks to a client with a secret by Basic, and by form only where the provider wants it so', async () => {
    await using({ clientSecret: 's3cr:t' });
    await signIn(rig, createVisitor());
    assert.equal(provider.tokenRequests.at(-1)?.has('client_secret'), false);
    provider.behaviour.metadata = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
    await using({ clientSecret: 's3cr:t' });
    await signIn(rig, createVisitor());
    assert.equal(provider.tokenRequests.at(-1)?.get('client_secret'), 's3cr:t');
  });

  it('signs in with an ID token a minute early or late, and names the clock beyond that', async () => {
    for (const aheadMs of [-55_000, 55_000 + 300_000]) {
      await using({ aheadMs });
      assert.equal((await signIn(rig, createVisitor())).kind, 'redirect', String(aheadMs));
    }
    for (const aheadMs of [-90_000, 90_000 + 300_000]) {
      await using({ aheadMs });
      const outcome = await signIn(rig, createVisitor());
      assert.equal(codeOf(outcome), '403 login_exchange_failed', String(aheadMs));
      assert.match(String(outcome.kind === 'failed' && outcome.cause), /clock/);
    }
  });

  it('signs in without userinfo where the provider has none', async () => {
    provider.behaviour.metadata = { userinfo_endpoint: undefined };
    const visitor = createVisitor();
    assert.equal((await signIn(rig, visitor)).kind, 'redirect');
    assert.equal((await sessionOf(rig, visitor)).claims.name, 'Ada Lovelace');
  });
});
