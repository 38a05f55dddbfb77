import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Secret } from '../../src/config/secret.ts';
import { createDemoProvider } from '../../src/demo/provider.ts';
import { createAskWith } from '../../src/oidc/client-secret.ts';
import { createBrowser } from '../fakes/browser.ts';
import { codeOf, createRig, createVisitor, ORIGIN, type Rig, sessionOf } from './rig.ts';

describe('Two client secrets, of which a certified provider (oidc-provider) knows the second', () => {
  const calls: string[] = [];
  const provider = createDemoProvider({
    port: 0,
    publicUrls: [ORIGIN],
    onToken: ({ grantType, ok }) => calls.push(`${grantType} ${ok}`),
  });
  let rig: Rig;
  before(async () => {
    const issuer = await provider.start();
    const { id: clientId, secret: otherClientSecret } = provider.clients.web;
    const scopes = ['openid', 'offline_access'];
    rig = createRig(issuer, { clientId, clientSecret: 'not yet there', otherClientSecret, scopes });
  });
  after(async () => {
    await rig.out.settled();
    await rig.close();
    await provider.stop();
  });

  it('sign a person in with one code, renew with one refresh token, and try the one that works first from then on', async () => {
    const visitor = createVisitor();
    const browser = createBrowser();
    const isBack = (url: URL) => url.origin === ORIGIN;
    const begun = visitor.keep(await rig.login(visitor.request('')));
    const form = await browser.open(begun.kind === 'redirect' ? begun.to : '', { until: isBack });
    const [account] = provider.accounts;
    const values = { user: account?.sub ?? '', password: account?.password ?? '' };
    const { url } = await browser.submit(form, values, isBack);
    assert.equal(codeOf(visitor.keep(await rig.callback(visitor.request(url.search)))), 'redirect');
    assert.equal((await rig.renewer.renew(await sessionOf(rig, visitor))).kind, 'renewed');
    assert.deepEqual(calls, ['authorization_code false', 'authorization_code true', 'refresh_token true']);
  });
});

describe('The other secret', () => {
  const secrets = { clientSecret: new Secret('one'), otherClientSecret: new Secret('two') };
  const asked = async (error: unknown, known = secrets) => {
    const tried: (string | undefined)[] = [];
    const ask = async (secret: Secret | undefined) => {
      tried.push(secret?.reveal());
      throw error;
    };
    await assert.rejects(createAskWith(known)(ask));
    return tried;
  };

  it('is not tried for anything but an unknown client', async () => {
    assert.deepEqual(await asked(new Error('no answer')), ['one']);
    const busy = new Error('busy', { cause: new Response('', { status: 503 }) });
    assert.deepEqual(await asked(busy), ['one']);
  });

  it('is tried once for a 401, whatever its body says', async () => {
    const refused = new Error('refused', { cause: new Response('no', { status: 401 }) });
    assert.deepEqual(await asked(refused), ['one', 'two']);
  });
});
