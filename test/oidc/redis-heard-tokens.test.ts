import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../src/failure.ts';
import type { Claim, HeardTokens } from '../../src/oidc/heard-tokens.ts';
import { createRedisHeardTokens } from '../../src/oidc/redis-heard-tokens.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';

describe('logout tokens that replicas have heard', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  let server: RedisServer;
  let here: HeardTokens;
  let there: HeardTokens;
  const connections: Redis[] = [];
  const join = async (): Promise<HeardTokens> => {
    const redis = connectRedis(server, 'commands');
    connections.push(redis);
    await untilUp(redis);
    return createRedisHeardTokens({ redis, now: Date.now });
  };
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    await server.ask('FLUSHALL');
    [here, there] = [await join(), await join()];
  });
  afterEach(() => {
    for (const redis of connections.splice(0)) redis.close();
  });

  const token = (changes: { jti?: string; issuer?: string; goodUntil?: number } = {}) => ({
    ...{ issuer: 'https://id.example.com', jti: 'j1', goodUntil: Date.now() + 120_000 },
    ...changes,
  });
  const mine = async (claiming: Promise<Claim>) => {
    const claim = await claiming;
    return claim.kind === 'mine' ? claim : assert.fail(`it was ${claim.kind}`);
  };
  const use = async (heard: HeardTokens, one = token()) => (await mine(heard.claim(one))).keep();
  const kinds = async (...claims: Promise<Claim>[]) => (await Promise.all(claims)).map(({ kind }) => kind);

  it('are good once, at whichever of them', async () => {
    await use(here);
    assert.deepEqual(await kinds(here.claim(token()), there.claim(token())), ['used', 'used']);
    assert.deepEqual(await kinds((await join()).claim(token())), ['used'], 'also at one that starts afterwards');
  });

  it('are told apart by issuer and name', async () => {
    await use(here);
    await use(there, token({ jti: 'j2' }));
    await use(there, token({ issuer: 'https://other.example.com' }));
  });

  it('are somebody’s while they are acted on, and nobody’s when that came to nothing', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? here : there).claim(token())));
    const won = all.filter(({ kind }) => kind === 'mine');
    assert.deepEqual([won.length, all.filter(({ kind }) => kind === 'taken').length], [1, 19]);
    const [claim] = won;
    if (claim?.kind === 'mine') await claim.giveBack();
    await use(there);
  });

  it('are free again when whoever acted on one died over it', async () => {
    await mine(here.claim(token()));
    const [key = ''] = Object(await server.ask('KEYS', 'test:logout-token:*'));
    const leftMs = Number(await server.ask('PTTL', key));
    assert.ok(leftMs > 0 && leftMs < 5000, 'before the provider is told to come again');
    await server.ask('PEXPIRE', key, '1');
    while (Number(await server.ask('EXISTS', key)) > 0);
    await use(there);
  });

  it('are not given back by one whose claim ran out', async () => {
    const late = await mine(here.claim(token()));
    const [key = ''] = Object(await server.ask('KEYS', 'test:logout-token:*'));
    await server.ask('DEL', key);
    await use(there);
    await late.giveBack();
    assert.deepEqual(await kinds(there.claim(token()), here.claim(token())), ['used', 'used']);
  });

  it('are forgotten when they are worth nothing any more, and after a day at most', async () => {
    await use(here, token({ jti: 'short', goodUntil: Date.now() + 5000 }));
    await use(here, token({ jti: 'long', goodUntil: Date.now() + 1e12 }));
    const keys: string[] = Object(await server.ask('KEYS', 'test:logout-token:*'));
    const left = await Promise.all(keys.map(async (key) => Number(await server.ask('PTTL', key))));
    const [short = 0, long = 0] = left.toSorted((one, other) => one - other);
    assert.ok(short > 0 && short <= 5000 && long > 86_000_000 && long <= 86_400_000, `${left}`);
  });

  it('say nothing of the token to whoever has the database', async () => {
    await use(here);
    const keys: string[] = Object(await server.ask('KEYS', '*'));
    for (const key of keys) assert.match(key, /^test:logout-token:[\w-]{43}$/);
  });

  it('cannot be told while Redis is away, but for those that were used here', async () => {
    await use(here);
    server.freeze();
    assert.deepEqual(await kinds(here.claim(token())), ['used']);
    await assert.rejects(
      there.claim(token()),
      (cause) => cause instanceof Failure && cause.code === 'store_unreachable',
    );
    server.thaw();
    await Promise.all(connections.map(untilUp));
  });
});
