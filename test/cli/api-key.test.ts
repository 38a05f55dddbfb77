import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { leastSettings, makeSettingsFolder, type SettingsFolder, secretFiles } from '../config/settings-folder.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

async function flytegate(args: readonly string[], input = ''): Promise<{ code: unknown; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', cli, ...args], { timeout: 60_000 });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  return { code, out, err };
}

describe('flytegate api-key', () => {
  const secret = 'S3cr3t/+of==the app';
  let folder: SettingsFolder;
  const create = (...more: string[]) =>
    flytegate(['api-key', 'create', '--config', folder.file, '--client-id', 'ci-app', ...more]);
  const secretFile = (name: string) => join(folder.file, '..', 'secrets', name);
  before(async () => {
    folder = await makeSettingsFolder(leastSettings, {
      ...secretFiles,
      'secrets/app': `${secret}\n`,
      'secrets/bad': 'has:colons',
      'secrets/empty': '\n',
    });
  });
  after(() => folder.remove());

  it('create prints a key that Flyte’s SDK splits into the same four parts', async () => {
    const { code, out, err } = await create('--secret-file', secretFile('app'), '--org', 'acme');
    assert.equal(code, 0);
    const text = Buffer.from(out.trim(), 'base64').toString();
    assert.deepEqual(text.split(':'), ['flyte.example.com', 'ci-app', secret, 'acme']);
    assert.match(err, /auth\.apiKeys\.enabled/);
    assert.ok(!err.includes(secret));
  });

  it('decode tells endpoint, client id and organization, never the secret', async () => {
    const { out } = await create('--secret-file', secretFile('app'));
    const told = await flytegate(['api-key', 'decode'], out);
    assert.deepEqual(told, { code: 0, out: 'endpoint: flyte.example.com\nclient id: ci-app\norg: (none)\n', err: '' });
  });

  for (const name of ['bad', 'empty', 'absent'])
    it(`create refuses a secret that does not fit, and shows nothing of it: ${name}`, async () => {
      const { code, out, err } = await create('--secret-file', secretFile(name));
      assert.deepEqual([code, out], [1, '']);
      assert.doesNotMatch(err, /has:colons/);
      assert.match(err, /^flytegate: [^\n]+\n$/);
    });

  for (const input of [
    '',
    'nonsense',
    'eyJhbGciOiJub25lIn0.e30.',
    Buffer.from('a:b:c').toString('base64'),
    'x'.repeat(20_000),
  ])
    it(`decode refuses ${JSON.stringify(input.slice(0, 20))}, and repeats nothing of it`, async () => {
      const { code, out, err } = await flytegate(['api-key', 'decode'], input);
      assert.deepEqual([code, out], [1, '']);
      assert.match(err, /^flytegate: that is no API key/);
      assert.ok(input === '' || !err.includes(input.slice(0, 20)));
    });
});
