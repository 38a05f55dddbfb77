import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type AppStage, startAppStage } from '../flows/app-stage.ts';
import { ask } from '../flows/ask.ts';
import { changeSettings } from '../flows/change-settings.ts';

// Whoever may be sent back to an app's host could be sent to one that only looks like it.

const hostile: readonly ((stage: Pick<AppStage, 'port' | 'at'>) => string)[] = [
  // only looks routed
  ({ at }) => at('ap'),
  ({ at }) => at('evil-app'),
  ({ at }) => at('app.evil'),
  ({ at }) => at('x.app'),
  ({ at }) => at('apps'),
  ({ at }) => at('a.b.apps'),
  ({ at }) => at('*.apps'),
  ({ at }) => at('-a.apps'),
  ({ at }) => at('.apps'),
  ({ at }) => at('public'),
  ({ port }) => `http://example.localhost:${port}`,
  ({ at, port }) => at('app').replace(`:${port}`, `.evil.test:${port}`),
  ({ at, port }) => at('app').replace(`:${port}`, `.:${port}`),
  ({ port }) => `http://app-example.localhost:${port}`,
  ({ port }) => `http://app.example.localhost.:${port}`,
  ({ port }) => `http://app%2eexample.localhost:${port}`,
  ({ port }) => `http://app\u3002example.localhost:${port}`,
  ({ port }) => `http://\uff41pp.example.localhost:${port}`,
  ({ port }) => `http://app.example.localhost%00.evil.test:${port}`,
  // another scheme or port
  ({ at }) => at('app').replace('http:', 'https:'),
  ({ at }) => at('app').replace('http:', 'ftp:'),
  ({ at }) => at('app').replace('http:', 'javascript:'),
  ({ port }) => `http://app.example.localhost:${port + 1}`,
  () => 'http://app.example.localhost',
  () => 'http://app.example.localhost:',
  ({ port }) => `http://app.example.localhost:0${port}0`,
  // who is who
  ({ at }) => at('app').replace('http://', 'http://user@'),
  ({ at }) => at('app').replace('http://', 'http://@'),
  ({ at }) => `${at('app')}@evil.test`,
  ({ at }) => `${at('app')}\\@evil.test`,
  ({ at }) => `http://evil.test#@${at('app').slice(7)}`,
  ({ at }) => `http://evil.test?${at('app')}`,
  ({ at }) => `http://evil.test/${at('app')}`,
  ({ at }) => `//${at('app').slice(7)}`,
  ({ at }) => `/\\${at('app').slice(7)}`,
  ({ at }) => `\\/${at('app').slice(7)}`,
  ({ at }) => `http:${at('app').slice(7)}`,
  ({ at }) => `http:/${at('app').slice(7)}`,
  ({ at }) => `http:\\\\${at('app').slice(7)}`,
  ({ at }) => ` ${at('app')}`,
  ({ at }) => `\t${at('app')}`,
  ({ at }) => at('app').replace('app', 'a\tpp'),
  // the right host, and a path that leads off it or splits the answer
  ({ at }) => `${at('app')}//evil.test`,
  ({ at }) => `${at('app')}/%09/evil.test`,
  ({ at }) => `${at('app')}/%5cevil.test`,
  ({ at }) => `${at('app')}/%2fevil.test`,
  ({ at }) => `${at('app')}/%252fevil.test`,
  ({ at }) => `${at('app')}/..//evil.test`,
  ({ at }) => `${at('app')}/\\evil.test`,
  ({ at }) => `${at('app')}/%0d%0aSet-Cookie:x`,
  ({ at }) => `${at('app')}/a?x=%0d%0aSet-Cookie:x`,
  ({ at }) => `${at('app')}/\r\nSet-Cookie:x`,
  ({ at }) => `${at('app')}\r\n.evil.test`,
];

describe('open redirect by way of an app’s host', () => {
  let stage: AppStage;
  before(async () => {
    stage = await startAppStage();
  });
  const visit = (step: string, to: string, cookie = '') =>
    ask(`http://127.0.0.1:${stage.port}${step}?redirect_url=${encodeURIComponent(to)}`, {
      fields: { host: `flyte.example.localhost:${stage.port}`, 'sec-fetch-mode': 'navigate', cookie },
    });

  it('is tried beside a place that may be gone to', async () => {
    const sent = await visit('/login', `${stage.at('app')}/x`);
    assert.equal(sent.status, 302);
    assert.ok(sent.one('location')?.startsWith(stage.rig.issuer));
  });

  for (const [at, make] of hostile.entries()) {
    const shown = make({ port: 80, at: (name) => `http://${name}.example.localhost:80` });
    it(`${at}: ${JSON.stringify(shown)} is refused on /login and /logout, before anything is set`, async () => {
      for (const step of ['/login', '/logout']) {
        const answer = await visit(step, make(stage));
        assert.equal(answer.status, 403, step);
        assert.match(answer.text, /redirect_refused/);
        assert.deepEqual([answer.one('location'), answer.all('set-cookie')], [undefined, []]);
      }
    });
  }

  it('is refused to somebody whose session is alive', async () => {
    const begun = await visit('/login', `${stage.at('app')}/x`);
    const back = new URL((await ask(begun.one('location') ?? '')).one('location') ?? '');
    const done = await ask(`http://127.0.0.1:${stage.port}${back.pathname}${back.search}`, {
      fields: { host: back.host, cookie: begun.one('set-cookie')?.split(';')[0] ?? '' },
    });
    assert.equal(done.one('location'), `${stage.at('app')}/x`);
    const cookie =
      done
        .all('set-cookie')
        .find((line) => line.startsWith('flytegate='))
        ?.split(';')[0] ?? '';
    assert.equal((await visit('/login', `${stage.at('evil-app')}/x`, cookie)).status, 403);
    assert.equal((await visit('/login', `${stage.at('app')}/x`, cookie)).one('location'), `${stage.at('app')}/x`);
  });

  it('is not gone to on /callback once the app’s route is gone', async () => {
    const begun = await visit('/login', `${stage.at('app')}/x`);
    const back = new URL((await ask(begun.one('location') ?? '')).one('location') ?? '');
    await changeSettings(stage.rig.settings.file, (document) => document.deleteIn(['routes', 0]));
    await changeSettings(stage.rig.settings.file, (document) => document.deleteIn(['routes', 0]));
    assert.equal(await stage.rig.reload(), 'reloaded');
    const done = await ask(`http://127.0.0.1:${stage.port}${back.pathname}${back.search}`, {
      fields: { host: back.host, cookie: begun.one('set-cookie')?.split(';')[0] ?? '' },
    });
    assert.equal(done.one('location'), `${stage.at('flyte')}/console`);
  });
});
