import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { leastSettings, makeSettingsFolder, secretFiles } from './settings-folder.ts';

const folders: (() => Promise<void>)[] = [];
after(async () => {
  for (const remove of folders) await remove();
});

async function load(settings: string, files: Readonly<Record<string, string>> = {}) {
  const made = await makeSettingsFolder(leastSettings + settings, { ...secretFiles, ...files });
  folders.push(made.remove);
  return loadConfig(made.file);
}

async function configOf(settings: string, files?: Readonly<Record<string, string>>) {
  const loaded = await load(settings, files);
  return loaded.kind === 'config' ? loaded.config : assert.fail(describeMistakes('settings', loaded.mistakes));
}

async function mistakesOf(settings: string, files?: Readonly<Record<string, string>>): Promise<string> {
  const loaded = await load(settings, files);
  return loaded.kind === 'mistakes' ? describeMistakes('settings', loaded.mistakes) : '';
}

describe('the settings of Redis', () => {
  it('are nothing where nothing is kept there', async () => {
    const { redis, coordination, revocations } = await configOf('redis: { url: "redis://a.test" }\n');
    assert.deepEqual([redis, coordination, revocations], [undefined, 'process', 'best-effort']);
  });

  it('are read with a password when there is one', async () => {
    const settings = 'session: { store: redis }\nredis: { url: "rediss://Redis.Test:6380", username: gate }\n';
    const { redis, coordination } = await configOf(settings, { 'secrets/redis_password': 'open sesame\n' });
    assert.equal(coordination, 'redis');
    assert.deepEqual(redis?.at, { kind: 'primary', address: { host: 'redis.test', port: 6380, isTls: true } });
    assert.equal(redis?.password?.reveal(), 'open sesame');
    const { redis: without } = await configOf('coordination: redis\nredis: { url: "redis://[::1]" }\n');
    assert.equal(without?.password, undefined);
    assert.deepEqual(without?.at, { kind: 'primary', address: { host: '::1', port: 6379, isTls: false } });
  });

  it('name sentinels instead of the primary', async () => {
    const sentinel = 'sentinel: { name: mymaster, addresses: ["redis://a.test:26379", "redis://b.test:26379"] }';
    const { redis } = await configOf(`coordination: redis\nredis: { ${sentinel} }\n`);
    assert.equal(redis?.at.kind === 'sentinel' && redis.at.addresses.length, 2);
  });

  for (const [what, settings, expected] of [
    ['a store without a Redis', 'session: { store: redis }\n', /redis\.url: .*session\.store: redis needs one/],
    ['coordination without a Redis', 'coordination: redis\n', /redis\.url: .*coordination: redis needs one/],
    ['a password in the URL', 'redis: { url: "redis://me:secret@a.test" }\n', /no place for a user name or password/],
    ['a database in the URL', 'redis: { url: "redis://a.test/1" }\n', /see redis\.database/],
    [
      'primary and sentinels',
      'redis: { url: "redis://a.test", sentinel: { name: a, addresses: ["redis://b.test"] } }\n',
      /redis\.url or redis\.sentinel, not both/,
    ],
    [
      'sentinels without a name',
      'redis: { sentinel: { addresses: ["redis://b.test"] } }\n',
      /name and addresses together/,
    ],
    [
      'sentinels half with TLS',
      'redis: { sentinel: { name: a, addresses: ["redis://b.test", "rediss://c.test"] } }\n',
      /all the same/,
    ],
    ['a user without a password', 'coordination: redis\nredis: { url: "redis://a", username: me }\n', /redis_password/],
    ['half a client certificate', 'redis: { tls: { certFile: a.pem } }\n', /certFile and keyFile together/],
    ['required revocations alone', 'revocations: required\n', /set coordination: redis/],
    ['a prefix with a pattern in it', 'redis: { keyPrefix: "a*" }\n', /redis\.keyPrefix/],
  ] as const)
    it(`refuse ${what}`, async () => {
      const mistakes = await mistakesOf(settings);
      assert.match(mistakes, expected);
      assert.ok(!mistakes.includes('secret@'));
    });
});
