import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { returnTo } from '../../src/oidc/return-to.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import {
  codeOf,
  createRig,
  createVisitor,
  ORIGIN,
  OTHER_ORIGIN,
  type Rig,
  signIn,
  throughProvider,
} from '../oidc/rig.ts';

const hostile = [
  // other ways to write "the same scheme, another host"
  '//evil.test',
  '///evil.test',
  '////evil.test/x',
  '/\\evil.test',
  '\\/evil.test',
  '\\\\evil.test',
  '/\\/evil.test',
  '/\t/evil.test',
  '/\n/evil.test',
  '\t//evil.test',
  ' //evil.test',
  '/%09/evil.test',
  '/%0a/evil.test',
  '/%0d%0a/evil.test',
  '/%00/evil.test',
  '/%5cevil.test',
  '/%5Cevil.test',
  '/%2fevil.test',
  '/%2F%2Fevil.test',
  '/%252fevil.test',
  '/%25252525252fevil.test',
  '/%2%35%32fevil.test',
  '/%255cevil.test',
  '/.//evil.test',
  '/..//evil.test',
  '/%2e%2e//evil.test',
  '/%252e%252e//evil.test',
  '/x/..//evil.test',
  '/x/..;//evil.test',
  '/x%2f..%2f%2fevil.test',
  // another host, in full
  'https://evil.test',
  'https://evil.test/https://flyte.example.com/',
  'https:evil.test',
  'https:/evil.test',
  'https:///evil.test',
  'https:\\\\evil.test',
  'https://flyte.example.com.evil.test/',
  'https://flyte.example.com@evil.test/',
  'https://flyte.example.com:443@evil.test/',
  'https://user:pass@flyte.example.com/',
  'https://@flyte.example.com/',
  'https://flyte.example.com\\@evil.test/',
  'https://evil.test\\@flyte.example.com/',
  'https://evil.test#@flyte.example.com/',
  'https://evil.test?@flyte.example.com/',
  'https://flyte.example.com%2eevil.test/',
  'https://flyte.example.com%00.evil.test/',
  'https://flyte\u3002example.com/',
  'https://evil\u3002test/',
  'https://evil.test\uff0fflyte.example.com/',
  '/\u2215/evil.test',
  '/\uff0fevil.test',
  'https://flyte.example.com./',
  'https://evilflyte.example.com/',
  'https://[::1]/',
  'https://0x7f.1/',
  // the right host by another scheme or port, and other schemes
  'http://flyte.example.com/',
  'https://flyte.example.com:8443/',
  'https://flyte.example.com:/x:1',
  'ftp://flyte.example.com/',
  'javascript:alert(1)',
  'JaVaScRiPt://flyte.example.com/%0aalert(1)',
  'java\tscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'blob:https://flyte.example.com/1',
  // splitting the answer
  '/a\r\nSet-Cookie:x=1',
  '/a%0d%0aSet-Cookie:x',
  '/a?x=%0d%0aSet-Cookie:x',
  '/a?x=%250d%250aSet-Cookie:x',
  'https://flyte.example.com/%0d%0aLocation:https://evil.test',
  // no place at all
  'evil.test',
  'console',
  '?x',
  '#x',
  '.',
  '\u0000/',
  '/\u0085/evil.test',
  '/\u200b/evil.test',
];

describe('open redirect by redirect_url', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
    rig = createRig(provider.issuer);
  });
  after(async () => {
    await rig.close();
    await provider.stop();
  });

  for (const value of hostile) {
    const shown = JSON.stringify(value);
    it(`refuses to return to ${shown}`, () => {
      assert.equal(returnTo(value, ORIGIN, (origin) => [ORIGIN, OTHER_ORIGIN].includes(origin)).kind, 'refused');
    });
    it(`refuses ${shown} on /login and /logout, before anything is set`, async () => {
      const query = `?redirect_url=${encodeURIComponent(value)}`;
      for (const step of [rig.login, rig.out.logout]) {
        const outcome = await step(createVisitor().request(query));
        assert.equal(codeOf(outcome), '403 redirect_refused');
        assert.deepEqual(outcome.cookies, []);
      }
    });
  }

  it('refuses a redirect_url given twice, even when both are good', async () => {
    const outcome = await rig.login(createVisitor().request('?redirect_url=/a&redirect_url=/a'));
    assert.equal(codeOf(outcome), '403 redirect_refused');
  });

  it('judges what a trusted proxy says just as strictly', async () => {
    const outcome = await rig.login(createVisitor().request('', { proxiedReturnTo: '//evil.test' }));
    assert.equal(codeOf(outcome), '403 redirect_refused');
  });

  it('refuses it also for somebody whose session is alive', async () => {
    const visitor = createVisitor();
    assert.equal((await signIn(rig, visitor)).kind, 'redirect');
    const outcome = await rig.login(visitor.request('?redirect_url=//evil.test'));
    assert.equal(codeOf(outcome), '403 redirect_refused');
  });

  it('judges the place again on /callback: one that is authorized no longer is not gone to', async () => {
    const visitor = createVisitor();
    const begun = visitor.keep(await rig.login(visitor.request()));
    const real = new URLSearchParams(await throughProvider(begun));
    const state = await rig.seal.open('login-state', real.get('state') ?? '');
    real.set('state', await rig.seal.seal('login-state', { ...state, r: 'https://retired.example.com/' }));
    // The provider's code is bound to nothing but the client; the sealed state is ours and says where to go.
    const outcome = await rig.callback(visitor.request(real.toString()));
    assert.equal(outcome.kind === 'redirect' && outcome.to, `${ORIGIN}/console`);
  });

  it('does not follow a sealed logout state to a place that is authorized no longer', async () => {
    const state = await rig.seal.seal('logout-state', { r: 'https://retired.example.com/' });
    assert.equal((await rig.out.logout(createVisitor().request(`?state=${state}`))).kind, 'signed-out');
  });
});
