import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeSettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { freePort } from '../fakes/nginx.ts';
import { endLater, startFakeRig } from '../flows/rig.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const TOKEN = 'k'.repeat(40);

async function flytegate(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', cli, 'sessions', ...args], { timeout: 60_000 });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

describe('flytegate sessions', { timeout: 120_000 }, () => {
  it('lists and ends sessions of the gateway that runs with the same settings', async () => {
    const rig = await startFakeRig({
      settings: { 'session.store': 'memory', 'server.admin': `127.0.0.1:${await freePort()}` },
      files: { 'secrets/admin_token': TOKEN },
    });
    const { cookie } = await rig.signIn();
    const config = ['--config', rig.settings.file];
    const listed = await flytegate('list', ...config);
    assert.deepEqual([listed.code, listed.err], [0, '1 session\n']);
    const handle = /^([\w-]{16}) +ada /m.exec(listed.out)?.[1] ?? '';
    const revoked = await flytegate('revoke', ...config, '--session', handle);
    assert.deepEqual(revoked, { code: 0, out: 'revoked\n', err: '' });
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 401);
  });

  it('says in one sentence why it could not ask, and ends with 1', async () => {
    const rig = await startFakeRig({ settings: { 'server.admin': `127.0.0.1:${await freePort()}` } });
    const text = (token: string) => ({ ...secretFiles, 'secrets/admin_token': token });
    const settings = await readFile(rig.settings.file, 'utf8');
    const folder = await makeSettingsFolder(settings, text(TOKEN));
    endLater(folder.remove);
    const off = await flytegate('list', '--config', folder.file);
    assert.equal(off.code, 1);
    assert.match(off.err, /^flytegate: the gateway on 127\.0\.0\.1:\d+ has no admin_token.*\n$/);
    await rig.stop();
    const gone = await flytegate('list', '--config', folder.file);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /^flytegate: the gateway does not answer on 127\.0\.0\.1:\d+.*is it running/);
    const without = await flytegate('revoke', '--config', rig.settings.file, '--subject', 'ada');
    assert.equal(without.code, 1);
    assert.match(without.err, /^flytegate: there is no admin_token in secretsDir/);
    for (const { out } of [off, gone, without]) assert.equal(out, '');
  });
});
