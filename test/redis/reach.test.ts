import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { RedisSettings } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { createRedisCoordination } from '../../src/oidc/redis-coordination.ts';
import { createRedisHeardTokens } from '../../src/oidc/redis-heard-tokens.ts';
import { createRedis, type Redis } from '../../src/redis/redis.ts';
import { createRedisStore } from '../../src/session/redis-store.ts';
import { createRevocationStream } from '../../src/session/revocation-stream.ts';
import { createSeal } from '../../src/session/seal.ts';
import { freePort } from '../fakes/nginx.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { createTestLog } from '../oidc/rig.ts';
import { testCertificate } from '../server/test-certificate.ts';
import { cookieKey, HOUR, revocationOf, session } from '../session/fixtures.ts';

describe('a Redis is reached', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  const undo: (() => unknown)[] = [];
  after(async () => {
    for (const one of undo.reverse()) await one();
  });
  const start = async (options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> => {
    const server = await startRedis(options);
    undo.push(server.stop);
    return server;
  };
  const connect = (server: RedisServer, changes: Partial<RedisSettings>): Redis => {
    const redis = connectRedis(server, 'commands', changes);
    undo.push(redis.close);
    return redis;
  };

  it('over TLS, by a certificate that is believed, and by no other', async () => {
    const port = await freePort();
    const pem = { cert: '', key: '' };
    const server = await start({
      file: async (folder) => {
        for (const name of ['cert', 'key'] as const) {
          pem[name] = join(folder, `${name}.pem`);
          await writeFile(pem[name], testCertificate[name]);
        }
        const lines = [`tls-port ${port}`, `tls-cert-file ${pem.cert}`, `tls-key-file ${pem.key}`];
        const file = join(folder, 'redis.conf');
        await writeFile(file, [...lines, `tls-ca-cert-file ${pem.cert}`, ''].join('\n'));
        return file;
      },
    });
    const at = { kind: 'primary', address: { host: '127.0.0.1', port, isTls: true } } as const;
    const clientCertificate = { certFile: pem.cert, keyFile: pem.key };
    const redis = connect(server, { at, tls: { caFile: pem.cert, clientCertificate } });
    await untilUp(redis);
    assert.equal(await redis.send(['PING']), 'PONG');
    const failed: string[] = [];
    const stranger = createRedis({
      settings: () => server.settings({ at, tls: { clientCertificate } }),
      role: 'commands',
      log: createTestLog().log,
      metrics: { redisFailure: (kind) => void failed.push(kind) },
    });
    undo.push(stranger.close);
    await stranger.start();
    assert.deepEqual([stranger.state.isUp, failed], [false, ['connect']]);
  });

  it('as a user who has the rights that the documentation names, and no more', async () => {
    const server = await start();
    const rights = ['~test:*', '+@read', '+@write', '+@connection', '+eval', '-@dangerous'];
    await server.ask('ACL', 'SETUSER', 'gate', 'on', '>open sesame', ...rights);
    await server.ask('ACL', 'SETUSER', 'default', 'off');
    const redis = connect(server, { username: 'gate', password: new Secret('open sesame'), database: 3 });
    await untilUp(redis);
    const needs = { redis, seal: createSeal([cookieKey(1)]), now: Date.now, log: createTestLog().log };
    const store = createRedisStore({ ...needs, limits: { idleMs: 9e12, absoluteMs: 9e12 } });
    const cookie = await store.create(session());
    await store.update(session({ refreshToken: 'next' }));
    assert.equal((await store.open(cookie)).kind, 'alive');
    assert.equal((await store.list?.page())?.sessions.length, 1);
    assert.equal((await store.list?.ofPerson({ issuer: session().issuer, subject: 'user-1' }))?.length, 1);
    await store.end(session().id);
    const stream = createRevocationStream({ ...needs, commands: redis, listener: redis, absoluteMs: HOUR });
    await stream.add([revocationOf('a', Date.now() + HOUR)]);
    assert.equal((await stream.read(10)).revocations.length, 1);
    assert.equal((await stream.look()).hasLost, false);
    const limits = { idleMs: 9e12, absoluteMs: 9e12 };
    const coordination = createRedisCoordination({ ...needs, limits, leaseMs: 1000, onOver: () => undefined });
    await coordination.began(session());
    const renewed = { kind: 'renewed', session: session({ refreshToken: 'two' }) } as const;
    assert.deepEqual(await coordination.once(session(), async () => renewed), renewed);
    const claim = await createRedisHeardTokens(needs).claim({ issuer: 'i', jti: 'j', goodUntil: Date.now() + HOUR });
    if (claim.kind === 'mine') await claim.keep();
    assert.equal(claim.kind, 'mine');
    await assert.rejects(redis.send(['FLUSHALL']), { message: 'Redis answered NOPERM' });
    await assert.rejects(redis.send(['GET', 'others']), { message: 'Redis answered NOPERM' });
  });

  it('through sentinels, one of them dead, and followed to the new primary after a failover', async () => {
    const [first, second] = [await start(), await start()];
    await second.ask('REPLICAOF', '127.0.0.1', String(first.port));
    const sentinel = await start({
      args: ['--sentinel'],
      file: async (folder) => {
        const file = join(folder, 'sentinel.conf');
        const lines = [`monitor mymaster 127.0.0.1 ${first.port} 1`, 'down-after-milliseconds mymaster 500'];
        await writeFile(file, lines.map((line) => `sentinel ${line}\n`).join(''));
        return file;
      },
    });
    const addresses = [await freePort(), sentinel.port].map((port) => ({ host: '127.0.0.1', port, isTls: false }));
    const redis = connect(sentinel, { at: { kind: 'sentinel', name: 'mymaster', addresses } });
    await untilUp(redis);
    await redis.send(['SET', 'k', 'v']);
    while (!/master_link_status:up/.test(String(await second.ask('INFO', 'replication'))))
      await new Promise(setImmediate);
    // Refused until the sentinel knows the replica as a good one.
    const failOver = () => sentinel.ask('SENTINEL', 'failover', 'mymaster').catch(() => undefined);
    while ((await failOver()) !== 'OK') await new Promise(setImmediate);
    // The sentinel breaks connections while it tells everybody who they are: the test's, too, and more than once.
    const told = async (...command: string[]) => {
      for (;;) {
        const answer = await second.ask(...command).catch(() => undefined);
        if (answer !== undefined) return answer;
        await new Promise(setImmediate);
      }
    };
    while (!/role:master/.test(String(await told('INFO', 'replication')))) await new Promise(setImmediate);
    await first.kill();
    const write = () => redis.send(['SET', 'w', 'w']).catch(() => undefined);
    while ((await write()) === undefined) await new Promise(setImmediate);
    assert.deepEqual([await told('GET', 'k'), await told('GET', 'w')], ['v', 'w']);
  });

  it('with the password that stands there now, when it is changed', async () => {
    const server = await start({ password: 'one' });
    let password: Secret = new Secret('one');
    const redis = createRedis({
      settings: () => server.settings({ password }),
      role: 'commands',
      log: createTestLog().log,
      metrics: { redisFailure: () => undefined },
    });
    undo.push(redis.close);
    await redis.start();
    await server.ask('CONFIG', 'SET', 'requirepass', 'two');
    password = new Secret('two');
    assert.equal(await redis.send(['PING']), 'PONG', 'a connection that stands goes on');
    await redis.send(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no']).catch(() => undefined);
    while (redis.state.outages === 0) await new Promise(setImmediate);
    await untilUp(redis);
    assert.equal(await redis.send(['PING']), 'PONG');
  });
});
