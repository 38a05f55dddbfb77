import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { listSessions } from '../../src/sessions-command.ts';
import { makeSettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { createBrowser } from '../fakes/browser.ts';
import { freePort } from '../fakes/nginx.ts';
import { ask, type Question } from '../flows/ask.ts';
import { startFakeRig } from '../flows/rig.ts';

const TOKEN = 'k'.repeat(40);
const files = { 'secrets/admin_token': TOKEN };

/** Whoever reaches the admin port must not end sessions, nor see who is signed in, without the token. */
describe('the admin API', { timeout: 60_000 }, () => {
  it('is off without a token, on the admin port and on the public one', async () => {
    const rig = await startFakeRig();
    const fields = { authorization: 'Bearer ' };
    for (const path of ['/api/sessions', '/api/sessions/revoke', '/api/'])
      assert.equal((await ask(rig.admin() + path, { method: 'POST', fields, body: '{}' })).status, 404, path);
  });

  it('is never on the public port', async () => {
    const rig = await startFakeRig({ files });
    const { status, text } = await rig.ask('/api/sessions', { fields: { authorization: `Bearer ${TOKEN}` } });
    assert.equal(status, 401);
    assert.ok(!text.includes('sessions'));
  });

  for (const [what, fields] of [
    ['no token', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['a prefix of it', { authorization: `Bearer ${TOKEN.slice(1)}` }],
    ['one that is longer', { authorization: `Bearer ${TOKEN}k` }],
    ['it as Basic', { authorization: `Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}` }],
    ['it in another field', { 'x-admin-token': TOKEN }],
    ['it in a cookie', { cookie: `admin_token=${TOKEN}` }],
    ['it twice in one field', { authorization: `Bearer ${TOKEN}, Bearer ${TOKEN}` }],
  ] as const)
    it(`refuses ${what}, and does nothing`, async () => {
      const rig = await startFakeRig({ files });
      const { cookie } = await rig.signIn();
      for (const [method, path] of [
        ['GET', '/api/sessions'],
        ['POST', '/api/sessions/revoke'],
        ['GET', '/api/nothing'],
      ] as const) {
        const body = method === 'POST' ? { body: '{"subject":"ada"}' } : {};
        const { status, one, text } = await ask(rig.admin() + path, { method, fields, ...body });
        assert.deepEqual([status, one('www-authenticate')], [401, 'Bearer']);
        assert.ok(!text.includes('ada') && !text.includes(TOKEN));
      }
      assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
      assert.ok(!rig.log.text().includes(TOKEN));
    });

  it('lets nobody guess without end; the right token waits, too, and comes in a minute later', async () => {
    const rig = await startFakeRig({ files });
    const call = async (token: string) => {
      const { status } = await ask(`${rig.admin()}/api/sessions`, { fields: { authorization: `Bearer ${token}` } });
      return status;
    };
    const statuses: number[] = [];
    for (let n = 0; n < 12; n += 1) statuses.push(await call(`guess-${n}`));
    assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429]);
    assert.equal(await call(TOKEN), 429);
    assert.equal(rig.log.of('admin.limit_reached').length, 1);
    rig.move(60_000);
    assert.equal(await call(TOKEN), 200);
  });

  for (const [what, body] of [
    ['nothing', ''],
    ['no JSON', 'session=x'],
    ['a list', '[]'],
    ['null', 'null'],
    ['an empty object', '{}'],
    ['two ways at once', '{"session":"aaaaaaaaaaaaaaaa","subject":"ada"}'],
    ['a handle of another shape', '{"session":"../../x"}'],
    ['a subject that is no text', '{"subject":{"$ne":""}}'],
    ['an empty subject', '{"subject":""}'],
    ['a subject without end', JSON.stringify({ subject: 'a'.repeat(300) })],
    ['an issuer alone', '{"issuer":"https://id.example.com"}'],
    ['a further member', '{"subject":"ada","everybody":true}'],
    ['an inherited member', '{"__proto__":{"subject":"ada"}}'],
  ] as const)
    it(`refuses to revoke ${what}`, async () => {
      const rig = await startFakeRig({ files });
      const { cookie } = await rig.signIn();
      const question: Question = { method: 'POST', fields: { authorization: `Bearer ${TOKEN}` }, body };
      assert.equal((await ask(`${rig.admin()}/api/sessions/revoke`, question)).status, 400);
      assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
    });

  it('reads no more than a few kilobytes', async () => {
    const rig = await startFakeRig({ files });
    const question: Question = {
      method: 'POST',
      fields: { authorization: `Bearer ${TOKEN}` },
      body: ' '.repeat(100_000),
    };
    assert.equal((await ask(`${rig.admin()}/api/sessions/revoke`, question)).status, 413);
  });

  it('revokes by POST only, so that no link does', async () => {
    const rig = await startFakeRig({ files });
    const fields = { authorization: `Bearer ${TOKEN}` };
    assert.equal((await ask(`${rig.admin()}/api/sessions/revoke?subject=ada`, { fields })).status, 405);
    assert.equal((await ask(`${rig.admin()}/api/sessions`, { method: 'DELETE', fields })).status, 405);
  });

  for (const [what, token] of [
    ['a short one', 'k'.repeat(31)],
    ['two lines', `${TOKEN}\n${TOKEN}\n`],
    ['blanks', `${TOKEN} ${TOKEN}`],
    ['nothing', ''],
  ] as const)
    it(`is not started with a token file of ${what}, and the file's content is not shown`, async () => {
      const text = 'server: { publicUrl: https://flyte.example.com }\nsecretsDir: secrets\n';
      const folder = await makeSettingsFolder(text, { ...secretFiles, 'secrets/admin_token': token });
      const loaded = await loadConfig(folder.file);
      await folder.remove();
      const told = loaded.kind === 'mistakes' ? loaded.mistakes : [];
      assert.ok(told.some(({ expected }) => expected.includes('admin_token')));
      assert.ok(!JSON.stringify(told).includes('kkk'));
    });
});

describe('flytegate sessions list', () => {
  it('shows what a browser calls itself without letting it write to the terminal', async () => {
    const settings = { 'session.store': 'memory', 'server.admin': `127.0.0.1:${await freePort()}` };
    const rig = await startFakeRig({ settings, files });
    const evil = 'Evil\u009b31m\u009d0;owned\u009c';
    const browser = createBrowser();
    const left = await browser.open(`${rig.url}/console`, { until: ({ pathname }) => pathname === '/callback' });
    const fields = { 'user-agent': Buffer.from(evil).toString('latin1') };
    assert.equal((await browser.open(left.url.href, { fields })).status, 200);
    const loaded = await loadConfig(rig.settings.file);
    if (loaded.kind === 'mistakes') throw new Error('the settings were good enough for the rig');
    let printed = '';
    const print = (text: string) => {
      printed += text;
    };
    await listSessions(loaded.config, { print, note: () => undefined });
    assert.match(printed, /ada.*Evil/);
    assert.doesNotMatch(printed.replaceAll('\n', ''), /\p{Cc}/u);
  });
});
