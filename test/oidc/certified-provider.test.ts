import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createDemoProvider } from '../../src/demo/provider.ts';
import { type Browser, createBrowser } from '../fakes/browser.ts';
import { codeOf, createRig, createVisitor, ORIGIN, type Rig, sessionOf, type Visitor } from './rig.ts';

describe('with a certified provider (oidc-provider)', () => {
  const calls: string[] = [];
  const provider = createDemoProvider({
    port: 0,
    publicUrls: [ORIGIN],
    onToken: ({ grantType, ok }) => calls.push(`${grantType} ${ok}`),
  });
  let rig: Rig;
  let visitor: Visitor;
  let browser: Browser;
  before(async () => {
    const issuer = await provider.start();
    const { id: clientId, secret: clientSecret } = provider.clients.web;
    const scopes = ['openid', 'profile', 'email', 'offline_access'];
    rig = createRig(issuer, { clientId, clientSecret, scopes });
    visitor = createVisitor();
    browser = createBrowser();
  });
  after(async () => {
    await rig.out.settled();
    await rig.close();
    await provider.stop();
  });

  const isBack = (url: URL) => url.origin === ORIGIN;
  /** The provider's pages, as a person clicks through them, up to the way back to us. */
  const atProvider = async (to: string): Promise<URL> => {
    let page = await browser.open(to, { until: isBack });
    const [account] = provider.accounts;
    for (let step = 0; step < 4 && !isBack(page.url); step += 1) {
      const values = { user: account?.sub ?? '', password: account?.password ?? '', logout: 'yes' };
      page = await browser.submit(page, values, isBack);
    }
    return page.url;
  };

  it('signs a person in', async () => {
    const begun = visitor.keep(await rig.login(visitor.request('?redirect_url=/console')));
    const back = await atProvider(begun.kind === 'redirect' ? begun.to : '');
    assert.equal(back.pathname, '/callback');
    const outcome = visitor.keep(await rig.callback(visitor.request(back.search)));
    assert.equal(codeOf(outcome), 'redirect');
    const session = await sessionOf(rig, visitor);
    assert.equal(session.claims.sub, provider.accounts[0]?.sub);
    assert.ok(session.refreshToken);
  });

  it('renews the session with one token call for many who ask', async () => {
    const session = await sessionOf(rig, visitor);
    const renewals = await Promise.all(Array.from({ length: 100 }, () => rig.renewer.renew(session)));
    assert.deepEqual(new Set(renewals.map(({ kind }) => kind)), new Set(['renewed']));
    assert.deepEqual(
      calls.filter((call) => call.startsWith('refresh_token')),
      ['refresh_token true'],
    );
  });

  it('signs out at the provider, revokes the newest refresh token and comes back with the state', async () => {
    const session = await rig.renewer.latest(await sessionOf(rig, visitor));
    const outcome = visitor.keep(await rig.out.logout(visitor.request('?redirect_url=/bye')));
    await rig.out.settled();
    const back = await atProvider(outcome.kind === 'redirect' ? outcome.to : '');
    assert.equal(back.origin + back.pathname, `${ORIGIN}/logout`);
    const ended = await rig.out.logout(visitor.request(back.search, { fetchSite: 'cross-site' }));
    assert.equal(ended.kind === 'redirect' && ended.to, `${ORIGIN}/bye`);
    const refused = createRig(session.issuer, {
      clientId: provider.clients.web.id,
      clientSecret: provider.clients.web.secret,
    });
    assert.deepEqual(await refused.renewer.renew(session), { kind: 'refused' });
    await refused.close();
  });
});
