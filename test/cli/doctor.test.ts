import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checks } from '../../src/doctor/finding.ts';
import { startDemoRig } from '../flows/rig.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

function doctor(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', cli, 'doctor', ...args], { timeout: 60_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

describe('flytegate doctor', () => {
  it('finds nothing wrong with a gateway that works, by every check, and shows no secret', async () => {
    const rig = await startDemoRig();
    const { folder, file } = rig.settings;
    const { id, secret } = rig.provider.clients.service;
    const secretFile = join(folder, 'service');
    await writeFile(secretFile, secret, { mode: 0o600 });
    const names = ['oidc_client_secret', 'cookie_hash_key', 'cookie_block_key'].map((name) =>
      join(folder, 'secrets', name),
    );
    for (const name of names) await chmod(name, 0o600);
    const { code, out, err } = await doctor('--config', file, '--client-id', id, '--secret-file', secretFile);
    assert.equal(err, '');
    assert.equal(code, 0, out);
    const lines = out.trimEnd().split('\n');
    assert.ok(
      lines.every((line) => /^(ok|warning|could not tell) +[a-z-]+: /.test(line)),
      out,
    );
    for (const name of Object.keys(checks))
      assert.match(out, new RegExp(`^(ok|warning|could not tell) +${name}: `, 'm'));
    for (const text of [secret, ...(await Promise.all(names.map((name) => readFile(name, 'utf8'))))])
      assert.ok(!out.includes(text.trim()));
    assert.doesNotMatch(out, /eyJ/);
  });

  it('exits 1 where something is wrong, and tells each thing in a line', async () => {
    const rig = await startDemoRig({ settings: { 'upstreams.gone': { url: 'http://127.0.0.1:1' } } });
    const { code, out } = await doctor('--config', rig.settings.file);
    assert.equal(code, 1);
    assert.match(out, /^problem {9}upstream: gone at http:\/\/127\.0\.0\.1:1 cannot be reached: ECONNREFUSED → /m);
  });

  it('exits 1 with the mistakes of a settings file that cannot be used, or is not there', async () => {
    const { code, out } = await doctor('--config', '/nowhere/flytegate.yaml');
    assert.equal(code, 1);
    assert.match(out, /^problem {9}settings: the file: .*no such file/);
  });

  it('wants id and secret of a service app together', async () => {
    const { code, err } = await doctor('--config', 'x', '--client-id', 'y');
    assert.equal(code, 1);
    assert.equal(err, 'flytegate: --client-id and --secret-file belong together\n');
  });
});
