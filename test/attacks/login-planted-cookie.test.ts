import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { codeOf, createRig, createVisitor, type Rig, sessionOf, signIn, throughProvider } from '../oidc/rig.ts';

// A page on a sibling host (evil.example.com) can set cookies for the domain that hosts share, but none that browsers keep
// under a `__Host-` name: those have no Domain attribute.
describe('a login cookie planted from a sibling host, where sessions are shared across a domain,', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
    rig = createRig(provider.issuer, { domain: 'example.com' });
  });
  after(async () => {
    await rig.close();
    await provider.stop();
  });

  it('signs nobody in as the attacker', async () => {
    const attacker = createVisitor();
    const back = await throughProvider(attacker.keep(await rig.login(attacker.request())));
    const [[name = '', value = ''] = []] = attacker.jar;
    assert.match(name, /^__Host-flytegate-login-[\w-]{8}$/, 'browsers take no such name from a sibling');
    const victim = createVisitor();
    for (const planted of [name.replace('__Host-', ''), name.replace('__Host-', '__Secure-')])
      victim.jar.set(planted, value);
    const asked = provider.calls.token;
    const outcome = await rig.callback(victim.request(back));
    assert.equal(codeOf(outcome), '401 login_state_missing');
    assert.deepEqual([outcome.cookies, provider.calls.token], [[], asked]);
  });

  it('does not push the logins of its victim out', async () => {
    const victim = createVisitor();
    for (let n = 0; n < 40; n += 1) victim.jar.set(`flytegate-login-planted${n % 10}`, `${n}`);
    const begun = await rig.login(victim.request());
    assert.equal(begun.cookies.length, 1, 'no login was cleared');
  });

  it('is not what a proper login has, which keeps to its host and ends with a session for the domain', async () => {
    const visitor = createVisitor();
    const begun = await rig.login(visitor.request());
    assert.doesNotMatch(begun.cookies.join(), /domain/i);
    const ended = await signIn(rig, visitor);
    assert.equal(ended.kind, 'redirect');
    assert.match(ended.cookies[0] ?? '', /^flytegate=[^;]+;.*; Domain=example\.com;/);
    assert.equal((await sessionOf(rig, visitor)).claims.sub, 'ada');
  });
});
