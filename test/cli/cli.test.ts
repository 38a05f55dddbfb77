import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { loadConfig } from '../../src/config/load.ts';
import { leastSettings, makeSettingsFolder, type SettingsFolder, secretFiles } from '../config/settings-folder.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const folders: SettingsFolder[] = [];
after(() => Promise.all(folders.map((folder) => folder.remove())));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function flytegate(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', cli, ...args], { timeout: 60_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

async function folderWith(
  settings: string,
  files: Readonly<Record<string, string>> = secretFiles,
): Promise<SettingsFolder> {
  const folder = await makeSettingsFolder(settings, files);
  folders.push(folder);
  return folder;
}

describe('flytegate', () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(await flytegate('--version'), { code: 0, out: `${version}\n`, err: '' });
  });

  it('refuses a command it does not know', async () => {
    const { code, err } = await flytegate('serv');
    assert.equal(code, 1);
    assert.match(err, /serve/);
  });

  it('imports nothing that an old Node.js could trip over before it is refused', async () => {
    const text = await readFile(cli, 'utf8');
    assert.deepEqual(text.match(/^import (?!type ).*$/gm), [
      "import { refusalOfNode } from './config/node-version.ts';",
    ]);
    assert.doesNotMatch(
      await readFile(new URL('../../src/config/node-version.ts', import.meta.url), 'utf8'),
      /^import /m,
    );
    assert.match(text, /^#!\/usr\/bin\/env node\n/);
  });
});

describe('flytegate check-config', () => {
  it('exits 0 and sums up a file that is right', async () => {
    const { file } = await folderWith(leastSettings);
    const { code, out, err } = await flytegate('check-config', '--config', file);
    assert.equal(err, '');
    assert.equal(out, 'ok: 1 route (0 public) to control-plane; sign-in at https://idp.example.com/oauth2/default\n');
    assert.equal(code, 0);
  });

  it('exits 2 with every mistake, its place in the file and a hint', async () => {
    const { file } = await folderWith(
      leastSettings.replace('publicUrl', 'publicURL').replace('upstream: control-plane', 'upstream: nope'),
    );
    const { code, out, err } = await flytegate('check-config', '--config', file);
    assert.equal(code, 2);
    assert.equal(out, '');
    const lines = err.trimEnd().split('\n');
    assert.equal(lines.length, 3);
    assert.ok(lines.every((line) => line.startsWith(`${file}:`)));
    assert.match(err, /:2: server\.publicURL: .*did you mean publicUrl\?/);
    assert.match(err, /:14: routes\[0\]\.upstream: .*found "nope"/);
  });

  it('--print shows every setting in force on standard output, and no secret', async () => {
    const preset = leastSettings.replace('control-plane:', 'flyte2:').replace(/routes:[\s\S]*/, 'preset: flyte2\n');
    const { file } = await folderWith(preset, { ...secretFiles, 'secrets/assertion_key': makeAssertionKey() });
    const { code, out, err } = await flytegate('check-config', '--config', file, '--print');
    assert.equal(code, 0);
    assert.equal(err, 'ok: 3 routes (2 public) to flyte2; sign-in at https://idp.example.com/oauth2/default\n');
    assert.match(out, /^ {2}- path: \/flyteidl2\.$/m);
    assert.match(out, /^ {2}idle: 8h$/m);
    assert.doesNotMatch(out, /battery/);
  });

  it('exits 2 when there is no file', async () => {
    const { code, err } = await flytegate('check-config', '--config', '/nowhere/flytegate.yaml');
    assert.equal(code, 2);
    assert.match(err, /no such file/);
  });
});

describe('flytegate serve', () => {
  it('starts nothing with mistakes in the settings, and exits 2', async () => {
    const { file } = await folderWith('server: {}\n');
    const { code, err } = await flytegate('serve', '--config', file);
    assert.equal(code, 2);
    assert.match(err, /server\.publicUrl/);
  });
});

describe('flytegate serve, running', () => {
  const anyPort = (settings: string) =>
    settings
      .replace('server:\n', 'server:\n  listen: 127.0.0.1:0\n  admin: 127.0.0.1:0\n  drain: 0s\n')
      .replace('https://idp.example.com/oauth2/default', 'http://127.0.0.1:1');

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`says where it listens, and ends with 0 at ${signal}`, async () => {
      const { file } = await folderWith(anyPort(leastSettings));
      const child = spawn(process.execPath, ['--import', 'tsx', cli, 'serve', '--config', file], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const ended = once(child, 'exit');
      const [said] = await once(child.stderr, 'data');
      assert.match(String(said), /listens on http.*127\.0\.0\.1:[1-9]\d*, admin on .*127\.0\.0\.1:[1-9]\d*/);
      child.kill(signal);
      assert.deepEqual(await ended, [0, null]);
    });
  }

  it('logs a mistake of ours as internal, and ends with 1', async () => {
    const { file } = await folderWith(anyPort(leastSettings));
    const bug = "data:text/javascript,process.on('SIGUSR2', () => { throw new Error('boom') })";
    const child = spawn(process.execPath, ['--import', bug, '--import', 'tsx', cli, 'serve', '--config', file]);
    const out: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    const ended = once(child, 'close');
    await once(child.stderr, 'data');
    child.kill('SIGUSR2');
    assert.deepEqual(await ended, [1, null]);
    assert.match(Buffer.concat(out).toString(), /"level":"error".*"event":"internal".*"cause":"boom".*"stack":".+/);
  });

  it('says in one sentence that its port is taken, and exits 1', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : assert.fail();
    const { file } = await folderWith(
      anyPort(leastSettings).replace('listen: 127.0.0.1:0', `listen: 127.0.0.1:${port}`),
    );
    const { code, err } = await flytegate('serve', '--config', file);
    taken.close();
    assert.equal(
      err,
      `flytegate: another program listens on 127.0.0.1:${port} already: stop it, or choose another port\n`,
    );
    assert.equal(code, 1);
  });
});

describe('flytegate demo', () => {
  it('refuses a port that is none, in one sentence', async () => {
    assert.deepEqual(await flytegate('demo', '--port', '99999'), {
      code: 1,
      out: '',
      err: 'flytegate: --port is a number from 0 to 65535\n',
    });
  });
});

describe('flytegate keygen', () => {
  it('prints two keys, and how to use them apart from them', async () => {
    const { code, out, err } = await flytegate('keygen');
    assert.equal(code, 0);
    assert.match(out, /^cookie_hash_key: [A-Za-z0-9+/]{86}==\ncookie_block_key: [A-Za-z0-9+/]{43}=\n$/);
    assert.match(err, /secretsDir/);
  });

  it('puts a new pair first in the key files, for the owner only, and the gateway opens with both', async () => {
    const { folder, file } = await folderWith(leastSettings, { 'secrets/oidc_client_secret': 'x' });
    const dir = join(folder, 'secrets');
    const first = await flytegate('keygen', '--dir', dir);
    assert.equal(first.code, 0, first.err);
    const before = await readFile(join(dir, 'cookie_hash_key'), 'utf8');
    const second = await flytegate('keygen', '--dir', dir);
    assert.match(second.out, /hold 2 keys/);
    assert.ok(!second.out.includes(before.trim()));
    const afterwards = await readFile(join(dir, 'cookie_hash_key'), 'utf8');
    assert.equal(afterwards.split('\n').slice(1).join('\n'), before);
    assert.match(first.out, /assertion_key holds 1 key now/);
    assert.doesNotMatch(second.out, /assertion_key/);
    assert.equal((await readFile(join(dir, 'assertion_key'), 'utf8')).match(/BEGIN/g)?.length, 1);
    for (const name of ['cookie_hash_key', 'cookie_block_key', 'assertion_key'])
      assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
    const loaded = await loadConfig(file);
    assert.equal(loaded.kind === 'config' && loaded.config.cookieKeys.length, 2);
  });

  it('changes nothing where the two files do not pair', async () => {
    const { folder } = await folderWith(leastSettings);
    const dir = join(folder, 'secrets');
    await writeFile(join(dir, 'cookie_block_key'), '');
    const { code, err } = await flytegate('keygen', '--dir', dir);
    assert.equal(code, 1);
    assert.match(err, /do not pair: 1 and 0 lines/);
    assert.equal(await readFile(join(dir, 'cookie_block_key'), 'utf8'), '');
  });

  it('prints a key for assertions, or puts it last in its file', async () => {
    const printed = await flytegate('keygen', '--assertion');
    assert.match(printed.out, /^-----BEGIN PRIVATE KEY-----\n[^-]+-----END PRIVATE KEY-----\n$/);
    assert.match(printed.err, /assertion_key in secretsDir/);
    const { folder } = await folderWith(leastSettings);
    const dir = join(folder, 'secrets');
    const [first, second] = [
      await flytegate('keygen', '--assertion', '--dir', dir),
      await flytegate('keygen', '--assertion', '--dir', dir),
    ];
    assert.match(first.out, /holds 1 key now/);
    assert.match(second.out, /holds 2 keys now/);
    assert.equal((await readFile(join(dir, 'assertion_key'), 'utf8')).match(/BEGIN/g)?.length, 2);
  });
});
