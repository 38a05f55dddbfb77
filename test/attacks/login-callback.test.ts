import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { codeOf, createRig, createVisitor, type Rig, sessionOf, signIn, throughProvider } from '../oidc/rig.ts';
import { cookieKey } from '../session/fixtures.ts';

describe('attacks on /callback', () => {
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
      issParameter: true,
    });
  });
  afterEach(() => rig.close());
  after(() => provider.stop());

  const begin = async (visitor = createVisitor()) => {
    const back = new URLSearchParams(await throughProvider(visitor.keep(await rig.login(visitor.request()))));
    return { visitor, back };
  };
  /** Nothing was set, and the code was not redeemed. */
  const refusedUnasked = async (visitor: ReturnType<typeof createVisitor>, query: string, expected: string) => {
    const asked = provider.calls.token;
    const outcome = await rig.callback(visitor.request(query));
    assert.equal(codeOf(outcome), expected);
    assert.equal(provider.calls.token, asked, 'the code was redeemed');
    assert.equal(outcome.cookies.join().includes('flytegate='), false);
  };

  it('refuses a state from another browser: a victim is not signed in as the attacker', async () => {
    const { back } = await begin();
    await refusedUnasked(createVisitor(), back.toString(), '401 login_state_missing');
  });

  it('refuses it also in a browser that has a login of its own under way', async () => {
    const { back } = await begin();
    const { visitor } = await begin();
    await refusedUnasked(visitor, back.toString(), '401 login_state_missing');
  });

  it("refuses another login's cookie under the name that the state asks for", async () => {
    const attacker = await begin();
    const victim = await begin();
    const [name = ''] = attacker.visitor.jar.keys();
    const [value = ''] = victim.visitor.jar.values();
    victim.visitor.jar.clear();
    victim.visitor.jar.set(name, value);
    await refusedUnasked(victim.visitor, attacker.back.toString(), '401 login_state_missing');
  });

  it('refuses a login cookie that came twice', async () => {
    const { visitor, back } = await begin();
    const { cookies } = visitor.request();
    const query = back.toString();
    const asked = provider.calls.token;
    const outcome = await rig.callback(visitor.request(query, { cookies: `${cookies}; ${cookies}` }));
    assert.equal(codeOf(outcome), '401 login_state_missing');
    assert.equal(provider.calls.token, asked);
  });

  it('refuses a replayed state, as its cookie is gone', async () => {
    const { visitor, back } = await begin();
    visitor.keep(await rig.callback(visitor.request(back.toString())));
    visitor.jar.delete('__Host-flytegate');
    await refusedUnasked(visitor, back.toString(), '401 login_state_missing');
  });

  it('gets nowhere with a code that was redeemed before, even with the cookie kept', async () => {
    const { visitor, back } = await begin();
    assert.equal((await rig.callback(visitor.request(back.toString()))).kind, 'redirect');
    await refusedUnasked(visitor, back.toString(), '401 login_state_missing');
  });

  it("gets nowhere with somebody else's code in one's own session: PKCE binds it", async () => {
    const victim = await begin();
    const attacker = await begin();
    attacker.back.set('code', victim.back.get('code') ?? '');
    const outcome = await rig.callback(attacker.visitor.request(attacker.back.toString()));
    assert.equal(codeOf(outcome), '403 login_exchange_failed');
  });

  for (const [what, change] of Object.entries<(back: URLSearchParams) => void>({
    'no state': (back) => back.delete('state'),
    'an empty state': (back) => back.set('state', ''),
    'a state of somebody’s own making': (back) => back.set('state', 'x.y.z'),
    'a damaged state': (back) => back.set('state', (back.get('state') ?? '').slice(0, -2)),
    'the state twice': (back) => back.append('state', back.get('state') ?? ''),
  })) {
    it(`refuses ${what}`, async () => {
      const { visitor, back } = await begin();
      change(back);
      await refusedUnasked(visitor, back.toString(), '401 login_state_invalid');
    });
  }

  it('opens no sealed value of another purpose as a state', async () => {
    const { visitor, back } = await begin();
    const [cookie = ''] = visitor.jar.values();
    for (const sealed of [
      cookie,
      await rig.seal.seal('logout-state', { r: '/', n: 'n', t: rig.now(), s: 's', c: 'c' }),
    ]) {
      back.set('state', sealed);
      await refusedUnasked(visitor, back.toString(), '401 login_state_invalid');
    }
  });

  for (const [what, change] of Object.entries<(back: URLSearchParams) => void>({
    'the iss of another provider (mix-up)': (back) => back.set('iss', 'https://evil.test'),
    'no iss where the provider promises one': (back) => back.delete('iss'),
    'the iss twice': (back) => back.append('iss', back.get('iss') ?? ''),
    'the code twice': (back) => back.append('code', 'x'),
    'no code': (back) => back.delete('code'),
    'an ID token in the address': (back) => back.set('id_token', 'x.y.z'),
  })) {
    it(`refuses ${what} before the code is redeemed`, async () => {
      const { visitor, back } = await begin();
      change(back);
      await refusedUnasked(visitor, back.toString(), '403 login_exchange_failed');
    });
  }

  it('checks an iss that was not promised too', async () => {
    provider.behaviour.issParameter = false;
    const { visitor, back } = await begin();
    back.set('iss', 'https://evil.test');
    await refusedUnasked(visitor, back.toString(), '403 login_exchange_failed');
  });

  for (const method of ['POST', 'HEAD', 'PUT']) {
    it(`refuses a callback by ${method}`, async () => {
      const { visitor, back } = await begin();
      const outcome = await rig.callback(visitor.request(back.toString(), { method }));
      assert.equal(codeOf(outcome), '400 login_method');
      assert.deepEqual(outcome.cookies, []);
    });
  }

  it('refuses a callback that a script fetched', async () => {
    const { visitor, back } = await begin();
    assert.equal(
      codeOf(await rig.callback(visitor.request(back.toString(), { fetchMode: 'cors' }))),
      '401 login_method',
    );
  });

  const now = () => Math.floor(Date.now() / 1000);
  for (const [what, claims] of Object.entries<() => Record<string, unknown>>({
    'another nonce': () => ({ nonce: 'another' }),
    'no nonce': () => ({ nonce: undefined }),
    'another issuer': () => ({ iss: 'https://evil.test' }),
    'another audience': () => ({ aud: 'other' }),
    'several audiences and no azp': () => ({ aud: ['web', 'other'] }),
    'another azp': () => ({ azp: 'other' }),
    'an expiry in the past': () => ({ exp: now() - 120 }),
    'an issue date in the future': () => ({ iat: now() + 120 }),
    'no expiry': () => ({ exp: undefined }),
    'no subject': () => ({ sub: undefined }),
    'a subject that is no text': () => ({ sub: { $ne: null } }),
    'a subject of 300 characters': () => ({ sub: 'a'.repeat(300) }),
  })) {
    it(`sets nothing for an ID token with ${what}, and does not ask userinfo`, async () => {
      provider.behaviour.idToken = claims();
      // So that a long subject is not refused for the difference.
      const { sub } = provider.behaviour.idToken;
      if (typeof sub === 'string') provider.behaviour.userinfo = { sub };
      const asked = provider.calls.userinfo;
      const visitor = createVisitor();
      assert.equal(codeOf(await signIn(rig, visitor)), '403 login_exchange_failed');
      assert.equal(visitor.jar.size, 0);
      if (typeof sub !== 'string') assert.equal(provider.calls.userinfo, asked);
    });
  }

  it('believes no ID token whose signature it cannot check against the keys', async () => {
    assert.equal((await signIn(rig, createVisitor())).kind, 'redirect');
    const realKeys = JSON.stringify({ keys: [provider.publicJwk()] });
    provider.behaviour.answers.jwks = { status: 200, body: realKeys };
    await provider.rotateKeys({ keepOld: false });
    const visitor = createVisitor();
    assert.equal(codeOf(await signIn(rig, visitor)), '403 login_exchange_failed');
    assert.equal(visitor.jar.size, 0);
    delete provider.behaviour.answers.jwks;
  });

  it('refuses userinfo about somebody else', async () => {
    provider.behaviour.userinfo = { sub: 'mallory' };
    const visitor = createVisitor();
    assert.equal(codeOf(await signIn(rig, visitor)), '403 login_subject_mismatch');
    assert.equal(visitor.jar.size, 0);
  });

  it("shows an error of the provider by its code, and nothing of the provider's own words", async () => {
    for (const [error, expected, about] of [
      ['access_denied', '403 login_denied', 'access_denied'],
      ['temporarily_unavailable', '503 login_denied', 'temporarily_unavailable'],
      ['<script>alert(1)</script>', '403 login_denied', 'unknown'],
    ] as const) {
      provider.behaviour.authorizeResponse = {
        code: undefined,
        error,
        error_description: '<img src=x onerror=alert(1)>',
      };
      const visitor = createVisitor();
      const outcome = await signIn(rig, visitor);
      assert.equal(codeOf(outcome), expected);
      assert.equal(outcome.kind === 'failed' && outcome.about, about);
      assert.doesNotMatch(JSON.stringify([outcome, rig.logged]), /<|onerror/);
      assert.equal(visitor.jar.size, 0);
    }
  });

  it('shows no error page for a forged error: state comes first', async () => {
    await refusedUnasked(createVisitor(), '?error=access_denied&state=x', '401 login_state_invalid');
  });

  it('ends a login that was begun before a key rotation', async () => {
    const { visitor, back } = await begin();
    const rotated = createRig(provider.issuer, { keys: [cookieKey(2), cookieKey(1)] });
    assert.equal(visitor.keep(await rotated.callback(visitor.request(back.toString()))).kind, 'redirect');
    assert.equal((await sessionOf(rotated, visitor)).claims.sub, 'ada');
    const foreign = createRig(provider.issuer, { keys: [cookieKey(3)] });
    assert.equal(codeOf(await foreign.callback(visitor.request(back.toString()))), '401 login_state_invalid');
    await rotated.close();
    await foreign.close();
  });

  it('changes the session id at login, so that a planted session is worth nothing', async () => {
    const attacker = createVisitor();
    await signIn(rig, attacker);
    const planted = await sessionOf(rig, attacker);
    const victim = createVisitor();
    const { back } = await begin(victim);
    victim.jar.set('__Host-flytegate', attacker.jar.get('__Host-flytegate') ?? '');
    victim.keep(await rig.callback(victim.request(back.toString())));
    assert.notEqual((await sessionOf(rig, victim)).id, planted.id);
  });

  it('does not believe one source’s word for the other source’s e-mail address', async () => {
    provider.behaviour.idToken = { email: 'ada@example.com', email_verified: true };
    provider.behaviour.userinfo = { email: 'root@victim.example', email_verified: undefined };
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const { claims } = await sessionOf(rig, visitor);
    assert.equal(claims.email, 'root@victim.example');
    assert.equal(claims.email_verified, undefined);
  });
});
