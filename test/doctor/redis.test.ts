import assert from 'node:assert/strict';
import { createServer as createTcp } from 'node:net';
import { before, describe, it } from 'node:test';
import { startProvider } from '../fakes/provider.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { endLater, look, serve } from './stage.ts';

const password = 'hush hush';
const secret = { 'secrets/redis_password': password };

describe('doctor, of Redis,', { skip: redisProgram.skip, timeout: 120_000 }, () => {
  let issuer: string;
  let server: RedisServer;
  before(async () => {
    const provider = await startProvider();
    endLater(provider.stop);
    issuer = provider.issuer;
    server = await start({ password });
  });
  const start = async (options: Parameters<typeof startRedis>[0]) => {
    const started = await startRedis(options);
    endLater(started.stop);
    return started;
  };
  const of = async (url: string, more: Readonly<Record<string, unknown>> = {}, files = {}) => {
    const settings = { 'redis.url': url, 'redis.keyPrefix': 'ours:', coordination: 'redis', ...more };
    const found = await look({ issuer, settings, files });
    assert.ok(!found.text.includes(password));
    return found.of('redis');
  };

  it('finds that it can be used, and leaves nothing there', async () => {
    assert.match(await of(server.url, {}, secret), /^ok .*127\.0\.0\.1:\d+ gives the rights .* forgets nothing\n$/);
    assert.equal(await server.ask('DBSIZE'), 0);
  });

  it('says so where the settings have none', async () => {
    assert.match((await look({ issuer })).of('redis'), /^ok .*none/);
  });

  it('finds that it has a user of just the rights that are documented, who sees no more', async () => {
    await server.ask(
      'ACL',
      'SETUSER',
      'few',
      'on',
      `>${password}`,
      '~ours:*',
      '+@read',
      '+@write',
      '+@connection',
      '+eval',
      '-@dangerous',
    );
    assert.match(
      await of(server.url, { 'redis.username': 'few' }, secret),
      /^ok .*maxmemory-policy is not ours to see/,
    );
  });

  it('finds a policy that forgets sessions', async () => {
    const other = await start({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    assert.match(await of(other.url), /^warning .*allkeys-lru: .* → set maxmemory-policy noeviction/);
  });

  it('finds a replica', async () => {
    const replica = await start({ args: ['--replicaof', '127.0.0.1', String(server.port)] });
    assert.match(await of(replica.url), /^problem .*: READONLY → it is a replica/);
  });

  it('finds a password that is wrong, and one that is missing', async () => {
    const wrong = { 'secrets/redis_password': 'not it' };
    assert.match(await of(server.url, {}, wrong), /^problem .*: WRONGPASS → compare redis\.username/);
    assert.match(await of(server.url), /^problem .*: NOAUTH → .*redis_password/);
  });

  for (const [what, rights] of [
    ['to write', ['+@read', '+@connection', '+eval']],
    ['to run scripts', ['+@read', '+@write', '+@connection', '-eval']],
    ['to follow a stream', ['+@read', '+@write', '+@connection', '+eval', '-xread']],
  ] as const)
    it(`finds a user without the right ${what}`, async () => {
      await server.ask('ACL', 'SETUSER', 'fewer', 'reset', 'on', `>${password}`, '~ours:*', ...rights);
      assert.match(await of(server.url, { 'redis.username': 'fewer' }, secret), /^problem .*: NOPERM → give that user/);
    });

  it('finds a user who has other keys', async () => {
    await server.ask('ACL', 'SETUSER', 'foreign', 'on', `>${password}`, '~theirs:*', '+@all');
    assert.match(await of(server.url, { 'redis.username': 'foreign' }, secret), /^problem .*: NOPERM → give that user/);
  });

  it('finds that nobody is there, or nobody says a word, or no TLS is spoken', async () => {
    assert.match(await of('redis://127.0.0.1:1'), /^problem .*ECONNREFUSED → nobody listens/);
    const silent = await serve(createTcp(() => undefined));
    assert.match(await of(`redis://${silent}`, { 'redis.connectTimeout': '200ms' }), /^problem .*no answer in 200 ms/);
    assert.match(await of(server.url.replace('redis:', 'rediss:'), {}, secret), /^problem /);
  });

  it('finds sentinels that are none', async () => {
    const sentinel = await start({ args: [] });
    const settings = { 'redis.sentinel': { name: 'main', addresses: [sentinel.url] } };
    const found = await look({ issuer, settings: { ...settings, coordination: 'redis' } });
    assert.match(found.of('redis'), /^problem .*main, as 127/);
  });
});
