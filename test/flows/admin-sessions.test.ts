import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { listSessions, revokeSessions } from '../../src/sessions-command.ts';
import { freePort } from '../fakes/nginx.ts';
import { type Answer, ask, type Question } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

const TOKEN = 'k'.repeat(40);
const files = { 'secrets/admin_token': `${TOKEN}\n` };

describe('the operator’s API', { timeout: 60_000 }, () => {
  let rig: FakeRig;
  before(async () => {
    const settings = { 'session.store': 'memory', 'server.admin': `127.0.0.1:${await freePort()}` };
    rig = await startFakeRig({ settings, files, behaviour: { idToken: { sid: 'there-1' } } });
  });
  const api = (path: string, question: Question = {}, token = TOKEN): Promise<Answer> =>
    ask(rig.admin() + path, { ...question, fields: { authorization: `Bearer ${token}` } });
  const revoke = (body: unknown) => api('/api/sessions/revoke', { method: 'POST', body: JSON.stringify(body) });
  const statusOf = async (cookie: string) => (await rig.ask('/me', { fields: { cookie } })).status;
  const listed = async (query = '') => {
    const { status, json, one } = await api(`/api/sessions${query}`);
    assert.deepEqual([status, one('cache-control')], [200, 'no-store']);
    return json()['sessions'] as Record<string, unknown>[];
  };
  const run = async (command: typeof listSessions | typeof revokeSessions, options: object) => {
    const loaded = await loadConfig(rig.settings.file);
    if (loaded.kind === 'mistakes') throw new Error('the settings were good enough for the rig');
    let printed = '';
    let noted = '';
    const terminal = { print: (text: string) => (printed += text), note: (text: string) => (noted += text) };
    await command(loaded.config, { ...options, ...terminal });
    return { printed, noted };
  };

  it('lists who is signed in, from where and since when, and nothing that opens a session', async () => {
    const { cookie } = await rig.signIn();
    const sessions = await listed('?subject=ada');
    const { session, subject, issuer, sid, address, startedAt, endsAt } = sessions.at(-1) ?? {};
    assert.match(String(session), /^[\w-]{16}$/);
    assert.deepEqual([subject, issuer, sid, address], ['ada', rig.issuer, 'there-1', '127.0.0.1']);
    assert.equal(Date.parse(String(endsAt)) - Date.parse(String(startedAt)), 7 * 86_400_000);
    const text = JSON.stringify(sessions);
    for (const part of cookie.split(/[=;.]/)) if (part.length > 20) assert.ok(!text.includes(part));
  });

  it('ends one session by its handle, which then is listed no more', async () => {
    const [one, two] = [await rig.signIn(), await rig.signIn()];
    const line = rig.log.of('login.finished').at(-1);
    const { status, json } = await revoke({ session: line?.['session'] });
    assert.deepEqual([status, json()['revoked']], [200, { kind: 'session', handle: line?.['session'] }]);
    assert.deepEqual([await statusOf(one.cookie), await statusOf(two.cookie)], [200, 401]);
    const sessions = await listed('?subject=ada');
    assert.ok(sessions.every(({ session }) => session !== line?.['session']));
  });

  it('ends all that came of one session at the provider', async () => {
    const { cookie } = await rig.signIn();
    assert.equal((await revoke({ sid: 'there-2' })).status, 200);
    assert.equal(await statusOf(cookie), 200);
    assert.equal((await revoke({ sid: 'there-1' })).status, 200);
    assert.equal(await statusOf(cookie), 401);
  });

  it('ends all of a person’s, and nothing that they begin later', async () => {
    rig.provider.behaviour.idToken = {};
    const [one, two] = [await rig.signIn(), await rig.signIn()];
    assert.equal((await revoke({ subject: 'ada', issuer: 'https://other.example.com' })).status, 200);
    assert.equal(await statusOf(one.cookie), 200);
    assert.equal((await revoke({ subject: 'ada' })).status, 200);
    assert.deepEqual([await statusOf(one.cookie), await statusOf(two.cookie)], [401, 401]);
    assert.deepEqual(await listed('?subject=ada'), []);
    rig.move(1000);
    assert.equal(await statusOf((await rig.signIn()).cookie), 200);
  });

  it('says who did what in the log, without names', async () => {
    await revoke({ subject: 'somebody@example.com' });
    const { of, subject } = rig.log.of('logout.by_operator').at(-1) ?? {};
    assert.equal(of, 'person');
    assert.match(String(subject), /^[0-9a-f]{12}$/);
    assert.ok(!rig.log.text().includes('somebody@example.com'));
  });

  it('is a command for the terminal', async () => {
    await rig.signIn();
    const { printed, noted } = await run(listSessions, {});
    const [head = '', first = ''] = printed.split('\n');
    assert.match(head, /^SESSION +SUBJECT/);
    assert.match(first, /^[\w-]{16} +ada +127\.0\.0\.1/);
    assert.match(noted, /^\d+ sessions?\n$/);
    const json = (await run(listSessions, { subject: 'ada', json: true })).printed.trim().split('\n');
    const { session } = JSON.parse(json.at(-1) ?? '');
    assert.equal((await run(revokeSessions, { session })).printed, 'revoked\n');
    assert.ok(!(await run(listSessions, {})).printed.includes(session));
    await assert.rejects(run(revokeSessions, {}), /--session HANDLE, --sid SID or --subject/);
    await assert.rejects(run(revokeSessions, { session: 'x' }), /answered 400/);
  });

  it('is a command that says what to do when it cannot ask', async () => {
    const loaded = await loadConfig(rig.settings.file);
    if (loaded.kind === 'mistakes') throw new Error('the settings were good enough for the rig');
    const { config } = loaded;
    const { adminToken: _token, ...without } = config;
    const quiet = { print: () => undefined, note: () => undefined };
    const admin = { host: '127.0.0.1', port: await freePort() };
    await assert.rejects(listSessions(without, quiet), /no admin_token in secretsDir/);
    await assert.rejects(listSessions({ ...config, server: { ...config.server, admin } }, quiet), /is it running/);
    await assert.rejects(
      listSessions({ ...config, server: { ...config.server, admin: { ...admin, port: 0 } } }, quiet),
      /port 0/,
    );
  });
});

describe('the operator’s API with session.store: cookie', () => {
  it('says that nothing is kept, and ends sessions by handle and by person all the same', async () => {
    const rig = await startFakeRig({ files });
    const fields = { authorization: `Bearer ${TOKEN}` };
    const [one, two] = [await rig.signIn(), await rig.signIn()];
    const list = await ask(`${rig.admin()}/api/sessions`, { fields });
    assert.deepEqual(list.json(), { kept: false, sessions: [] });
    const [{ session } = {}] = rig.log.of('login.finished');
    const revoke = (body: object) =>
      ask(`${rig.admin()}/api/sessions/revoke`, { method: 'POST', fields, body: JSON.stringify(body) });
    const statuses = async () => {
      const asked = [one, two].map(({ cookie }) => rig.ask('/me', { fields: { cookie } }));
      return (await Promise.all(asked)).map(({ status }) => status);
    };
    assert.equal((await revoke({ session })).status, 200);
    assert.deepEqual(await statuses(), [401, 200]);
    assert.equal((await revoke({ subject: 'ada' })).status, 200);
    assert.deepEqual(await statuses(), [401, 401]);
  });
});

describe('the token of the operator’s API', { timeout: 60_000 }, () => {
  it('comes, changes and goes with the settings, and a bad one leaves the one in force', async () => {
    const rig = await startFakeRig({ settings: { 'server.reloadInterval': '0s' } });
    const file = join(rig.settings.folder, 'secrets/admin_token');
    const [first, second] = ['a'.repeat(40), 'b'.repeat(40)];
    const statuses = async () => {
      const ofToken = async (token: string) =>
        (await ask(`${rig.admin()}/api/sessions`, { fields: { authorization: `Bearer ${token}` } })).status;
      return [await ofToken(first), await ofToken(second)];
    };
    assert.deepEqual(await statuses(), [404, 404]);
    for (const [token, outcome, expected] of [
      [first, 'reloaded', [200, 401]],
      [second, 'reloaded', [401, 200]],
      ['short', 'refused', [401, 200]],
    ] as const) {
      await writeFile(file, token);
      assert.equal(await rig.reload(), outcome);
      assert.deepEqual(await statuses(), expected);
    }
    await rm(file);
    assert.equal(await rig.reload(), 'reloaded');
    assert.deepEqual(await statuses(), [404, 404]);
    for (const token of [first, second, 'short']) assert.ok(!rig.log.text().includes(`"${token}`));
  });
});
