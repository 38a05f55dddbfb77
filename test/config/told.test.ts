import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { addAssertionKey, makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { leastSettings, makeSettingsFolder, secretFiles } from './settings-folder.ts';

const upstream = (lines: string) => leastSettings.replace(/( {4}url: .*\n)/, `$1${lines}`);
const pemOf = (made: { privateKey: ReturnType<typeof generateKeyPairSync>['privateKey'] }) =>
  made.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

async function load(settings: string, more: Readonly<Record<string, string>> = {}) {
  const folder = await makeSettingsFolder(settings, { ...secretFiles, ...more });
  const loaded = await loadConfig(folder.file);
  await folder.remove();
  return loaded;
}

async function configOf(settings: string, more?: Readonly<Record<string, string>>): Promise<Config> {
  const loaded = await load(settings, more);
  assert.ok(loaded.kind === 'config', loaded.kind === 'mistakes' ? describeMistakes('', loaded.mistakes) : '');
  return loaded.config;
}

async function mistakesOf(settings: string, more?: Readonly<Record<string, string>>): Promise<string> {
  const loaded = await load(settings, more);
  assert.ok(loaded.kind === 'mistakes', 'mistakes were expected');
  return describeMistakes('', loaded.mistakes);
}

describe('upstreams.<name>.identityHeaders', () => {
  it('are the usual ones where nothing is said, and need no key', async () => {
    const { upstreams, assertionKeys } = await configOf(leastSettings);
    assert.deepEqual(upstreams['control-plane']?.identityHeaders, ['auth-request', 'flyteadmin']);
    assert.deepEqual(assertionKeys, []);
  });

  it('may be none, and count once each', async () => {
    const none = await configOf(upstream('    identityHeaders: []\n'));
    assert.deepEqual(none.upstreams['control-plane']?.identityHeaders, []);
    const twice = await configOf(upstream('    identityHeaders: [flyteadmin, flyteadmin]\n'));
    assert.deepEqual(twice.upstreams['control-plane']?.identityHeaders, ['flyteadmin']);
  });

  for (const mode of ['alb', 'assertion']) {
    it(`with ${mode} are refused without a key, and say how to make one`, async () => {
      const told = await mistakesOf(upstream(`    identityHeaders: [${mode}]\n`));
      assert.match(told, /upstreams\.control-plane\.identityHeaders/);
      assert.match(told, /assertion_key in secrets/);
      assert.match(told, /flytegate keygen --assertion --dir/);
    });
  }

  it('take P-256 and Ed25519 keys, in the order of the file, with comments between them', async () => {
    const [first, second] = [makeAssertionKey(), pemOf(generateKeyPairSync('ed25519'))];
    const file = { 'secrets/assertion_key': `# the new one\n${first}\n# the old one\n${second}` };
    const { assertionKeys } = await configOf(upstream('    identityHeaders: [assertion]\n'), file);
    assert.deepEqual(
      assertionKeys.map((key) => key.reveal().trim()),
      [first.trim(), second.trim()],
    );
  });

  const good = makeAssertionKey();
  for (const [what, text] of [
    ['an empty file', ''],
    ['no PEM', 'c2VjcmV0'],
    ['an RSA key', pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))],
    ['a key on another curve', pemOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }))],
    ['a public key', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['the same key twice', good + good],
    ['a good key and a broken one', `${good}${good.replace(/MIG.{20}/, 'MIG'.padEnd(23, 'A'))}`],
    ['21 keys', Array.from({ length: 21 }, makeAssertionKey).join('')],
  ] as const)
    it(`refuse ${what} for keys, without a word of it`, async () => {
      const told = await mistakesOf(upstream('    identityHeaders: [alb]\n'), { 'secrets/assertion_key': text });
      assert.match(told, /1 to 20 private keys in PEM/);
      for (const line of text.split('\n').filter((part) => part.length > 20 && !part.startsWith('-----')))
        assert.ok(!told.includes(line));
    });

  it('refuse a mode that there is none of', async () => {
    assert.match(
      await mistakesOf(upstream('    identityHeaders: [alb, everything]\n')),
      /auth-request, flyteadmin, alb/,
    );
  });
});

describe('upstreams.<name>.proxyAuthorization', () => {
  it('drops Proxy-Authorization unless it is asked for', async () => {
    const passes = async (settings: string) =>
      (await configOf(settings)).upstreams['control-plane']?.passesProxyAuthorization;
    assert.equal(await passes(leastSettings), undefined);
    assert.equal(await passes(upstream('    proxyAuthorization: drop\n')), undefined);
    assert.equal(await passes(upstream('    proxyAuthorization: pass\n')), true);
  });
});

describe('upstreams.<name>.upstreamAuthorization', () => {
  it('is verified where nothing is said', async () => {
    assert.equal((await configOf(leastSettings)).upstreams['control-plane']?.upstreamAuthorization, 'verified');
  });

  it('cannot be session-token where sessions live in cookies', async () => {
    const settings = upstream('    upstreamAuthorization: session-token\n');
    assert.match(await mistakesOf(settings), /set session\.store: memory/);
    const { upstreams } = await configOf(`${settings}session: { store: memory }\n`);
    assert.equal(upstreams['control-plane']?.upstreamAuthorization, 'session-token');
  });

  it('cannot be service-app without an app and its secret', async () => {
    const told = await mistakesOf(upstream('    upstreamAuthorization: service-app\n'));
    assert.match(told, /serviceApp\.clientId/);
    assert.match(told, /client_secret in secrets/);
  });
});

describe('serviceApp', () => {
  const settings = `${upstream('    upstreamAuthorization: service-app\n')}serviceApp: { clientId: us }\n`;
  const file = { 'secrets/client_secret': 'hush\n' };

  it('is read with its secret where an upstream is sent its token', async () => {
    const { serviceApp } = await configOf(settings, file);
    assert.equal(serviceApp?.clientSecret.reveal(), 'hush');
    assert.deepEqual(
      { ...serviceApp, clientSecret: '' },
      { clientId: 'us', clientSecret: '', scopes: ['all'], refreshWindowMs: 300_000 },
    );
  });

  it('wants no file where nobody uses it', async () => {
    assert.equal((await configOf(`${leastSettings}serviceApp: { clientId: us }\n`)).serviceApp, undefined);
  });

  it('takes its secret from another file, and never shows what stands in place of its path', async () => {
    const elsewhere = settings.replace('clientId: us', 'clientId: us, clientSecretFile: elsewhere');
    assert.equal((await configOf(elsewhere, { elsewhere: 'hush' })).serviceApp?.clientSecret.reveal(), 'hush');
    assert.ok(!(await mistakesOf(elsewhere)).includes('elsewhere'));
  });

  it('sends its secret to no token endpoint without TLS', async () => {
    const cleartext = settings.replace('clientId: us', 'clientId: us, tokenUrl: "http://idp.example.com/token"');
    assert.match(await mistakesOf(cleartext, file), /serviceApp\.tokenUrl/);
  });
});

describe('putting a key into the file of assertion keys', () => {
  const inFolder = async (use: (dir: string) => Promise<void>) => {
    const dir = await mkdtemp(join(tmpdir(), 'flytegate-'));
    await use(dir).finally(() => rm(dir, { recursive: true }));
  };

  it('puts it last, so that it is published before it signs', () =>
    inFolder(async (dir) => {
      const [first, second] = [makeAssertionKey(), makeAssertionKey()];
      assert.equal(await addAssertionKey(dir, first), 1);
      await chmod(join(dir, 'assertion_key'), 0o644);
      assert.equal(await addAssertionKey(dir, second), 2);
      assert.equal(await readFile(join(dir, 'assertion_key'), 'utf8'), first + second);
      assert.deepEqual(await readdir(dir), ['assertion_key']);
      assert.equal((await stat(join(dir, 'assertion_key'))).mode & 0o777, 0o600);
    }));

  it('leaves a file of something else alone', () =>
    inFolder(async (dir) => {
      const rsa = pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }));
      await writeFile(join(dir, 'assertion_key'), rsa);
      await assert.rejects(addAssertionKey(dir, makeAssertionKey()), /as number 1 a key of another kind, rsa/);
      assert.equal(await readFile(join(dir, 'assertion_key'), 'utf8'), rsa);
    }));
});
