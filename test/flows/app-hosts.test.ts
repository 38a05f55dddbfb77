import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type AppStage, startAppStage } from './app-stage.ts';
import { type Answer, ask, type Question } from './ask.ts';

const navigation = { 'sec-fetch-mode': 'navigate', accept: 'text/html' };

/** Asks for a page of a host that this machine's resolver need not know. */
const askAt = (url: string, question: Question = {}): Promise<Answer> => {
  const { host, port, pathname, search } = new URL(url);
  return ask(`http://127.0.0.1:${port}${pathname}${search}`, { ...question, fields: { host, ...question.fields } });
};

const open = (url: string, cookie = '') => askAt(url, { fields: { ...navigation, ...(cookie && { cookie }) } });

/** From `/login` through the provider and back. */
async function signIn(login: string): Promise<{ to: string; cookie: string }> {
  const begun = await open(login);
  const back = (await ask(begun.one('location') ?? '')).one('location') ?? '';
  const done = await open(back, begun.one('set-cookie')?.split(';')[0]);
  const session = done.all('set-cookie').find((line) => line.startsWith('flytegate='));
  return { to: done.one('location') ?? '', cookie: session?.split(';')[0] ?? '' };
}

describe('an app on a host of its own, which the session cookie reaches', () => {
  let stage: AppStage;
  before(async () => {
    stage = await startAppStage();
  });

  for (const host of ['app', 'one.apps'])
    it(`${host}: a person signs in at the gateway’s own host, comes back to the page, and is let in`, async () => {
      const page = `${stage.at(host)}/board?view=1&x=%2F`;
      const sent = await open(page);
      assert.equal(sent.status, 302);
      const login = sent.one('location') ?? '';
      assert.equal(login, `${stage.at('flyte')}/login?redirect_url=${encodeURIComponent(page)}`);
      const { to, cookie } = await signIn(login);
      assert.equal(to, page);
      assert.equal((await open(page, cookie)).status, 200);
      const again = await open(login, cookie);
      assert.deepEqual([again.status, again.one('location')], [302, page], 'already signed in');
    });

  it('has its own /login and /me, and may be gone to there', async () => {
    const { cookie } = await signIn(`${stage.at('flyte')}/login`);
    for (const path of ['/login', '/me', '/logout'])
      assert.equal((await open(stage.at('app') + path, cookie)).json()['target'], path);
    const { to } = await signIn(
      `${stage.at('flyte')}/login?redirect_url=${encodeURIComponent(`${stage.at('app')}/login`)}`,
    );
    assert.equal(to, `${stage.at('app')}/login`);
  });

  it('is where somebody may go after signing out', async () => {
    const to = `${stage.at('app')}/bye`;
    const answer = await open(`${stage.at('flyte')}/logout?redirect_url=${encodeURIComponent(to)}`);
    assert.deepEqual([answer.status, answer.one('location')], [302, to]);
  });

  it('gets a plain way to sign in where the way back is too long', async () => {
    const sent = await open(`${stage.at('app')}/${'a'.repeat(1100)}`);
    assert.equal(sent.one('location'), `${stage.at('flyte')}/login`);
  });

  it('changes things from its own pages, and opens WebSockets', async () => {
    const { cookie } = await signIn(`${stage.at('flyte')}/login`);
    for (const host of ['app', 'one.apps'])
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const fields = { cookie, origin: stage.at(host) };
        assert.equal((await askAt(`${stage.at(host)}/x`, { method, fields })).status, 200, `${method} ${host}`);
      }
  });
});

describe('an app on a host of its own is given no way back', () => {
  it('where the session cookie stays with the gateway’s host: people would go round in circles', async () => {
    const stage = await startAppStage({ 'auth.userAuth.cookieSetting.domain': 'flyte.example.localhost' });
    const sent = await open(`${stage.at('app')}/board`);
    assert.equal(sent.one('location'), `${stage.at('flyte')}/login`);
  });

  it('on another port, by a wildcard’s wildcard, or by a route for every host', async () => {
    const stage = await startAppStage();
    const login = `${stage.at('flyte')}/login`;
    for (const host of [
      `app.example.localhost:${stage.port + 1}`,
      'app.example.localhost',
      'a.b.apps.example.localhost',
      'x.test',
    ]) {
      const sent = await ask(`http://127.0.0.1:${stage.port}/board`, { fields: { ...navigation, host } });
      assert.deepEqual([sent.status, sent.one('location')], [302, login], host);
    }
  });
});
