import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { codeOf, createRig, createVisitor, ORIGIN, type Rig, throughProvider } from '../oidc/rig.ts';

describe('a login state that is used again, its cookie kept', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
  });
  beforeEach(() => {
    rig = createRig(provider.issuer);
    delete provider.behaviour.answers.token;
  });
  afterEach(() => rig.close());
  after(() => provider.stop());

  const begin = async (query = '') => {
    const visitor = createVisitor();
    const back = new URLSearchParams(await throughProvider(visitor.keep(await rig.login(visitor.request(query)))));
    return { visitor, back };
  };

  it('costs the provider one token call, whatever codes come with it for ten minutes', async () => {
    const { visitor, back } = await begin();
    const asked = provider.calls.token;
    for (let n = 0; n < 20; n += 1) {
      back.set('code', `junk-${n}`);
      const outcome = await rig.callback(visitor.request(back.toString()));
      assert.equal(codeOf(outcome), n === 0 ? '403 login_exchange_failed' : '401 login_state_missing');
      assert.match(outcome.cookies.join(), /^__Host-flytegate-login-[\w-]{8}=; Max-Age=0;/, 'told to forget it');
      rig.advance(29_000);
    }
    assert.equal(provider.calls.token, asked + 1);
  });

  it('costs one token call also when all come at the same moment', async () => {
    const { visitor, back } = await begin();
    const asked = provider.calls.token;
    const release = provider.hold('token');
    const first = rig.callback(visitor.request(back.toString()));
    await provider.whenAsked('token', asked + 1);
    const others = await Promise.all(Array.from({ length: 20 }, () => rig.callback(visitor.request(back.toString()))));
    release();
    assert.deepEqual(new Set(others.map(codeOf)), new Set(['401 login_state_missing']));
    assert.equal((await first).kind, 'redirect');
    assert.equal(provider.calls.token, asked + 1);
  });

  it('is remembered for as long as a clock of another replica lets it live', async () => {
    const { visitor, back } = await begin();
    // It began half a minute from now.
    rig.advance(-30_000);
    await rig.callback(visitor.request(back.toString()));
    rig.advance(625_000);
    const asked = provider.calls.token;
    assert.equal(codeOf(await rig.callback(visitor.request(back.toString()))), '401 login_state_missing');
    assert.equal(provider.calls.token, asked);
  });

  it('is spent by an error of the provider too', async () => {
    const { visitor, back } = await begin();
    const denied = new URLSearchParams(back);
    denied.delete('code');
    denied.set('error', 'access_denied');
    assert.equal(codeOf(await rig.callback(visitor.request(denied.toString()))), '403 login_denied');
    const asked = provider.calls.token;
    assert.equal(codeOf(await rig.callback(visitor.request(back.toString()))), '401 login_state_missing');
    assert.equal(provider.calls.token, asked);
  });

  it('goes on to the wanted place for somebody whose session is alive, as the second click of two does', async () => {
    const { visitor, back } = await begin('?redirect_url=/wanted');
    const login = new Map(visitor.jar);
    visitor.keep(await rig.callback(visitor.request(back.toString())));
    for (const [name, value] of login) visitor.jar.set(name, value);
    const asked = provider.calls.token;
    const outcome = await rig.callback(visitor.request(back.toString()));
    assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/wanted`);
    assert.equal(outcome.cookies.join().includes('__Host-flytegate='), false);
    assert.equal(provider.calls.token, asked);
  });

  it('cannot be spent by a stranger, who lacks its cookie', async () => {
    const { visitor, back } = await begin();
    assert.equal(codeOf(await rig.callback(createVisitor().request(back.toString()))), '401 login_state_missing');
    assert.equal((await rig.callback(visitor.request(back.toString()))).kind, 'redirect');
  });
});
