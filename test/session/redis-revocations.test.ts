import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Redis } from '../../src/redis/redis.ts';
import { marksOf } from '../../src/session/marks.ts';
import { createRedisRevocations, type SharedRevocations } from '../../src/session/redis-revocations.ts';
import { createRevocationStream } from '../../src/session/revocation-stream.ts';
import { createRevocations, type Revocation } from '../../src/session/revocations.ts';
import { createSeal } from '../../src/session/seal.ts';
import { connectRedis, untilUp } from '../fakes/redis-connections.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { createTestLog } from '../oidc/rig.ts';
import { cookieKey, HOUR, session } from './fixtures.ts';

interface Replica {
  readonly shared: SharedRevocations;
  readonly commands: Redis;
  readonly listener: Redis;
  isRevoked(id: string): boolean;
  /** Resolves when this session is refused here. */
  hears(id: string): Promise<void>;
  close(): void;
}

describe('revocations that replicas share', { skip: redisProgram.skip, timeout: 60_000 }, () => {
  let server: RedisServer;
  const replicas: Replica[] = [];
  const soon = () => Date.now() + HOUR;
  const of = (id: string): Revocation => ({
    of: { kind: 'session', handle: marksOf(session({ id })).handle },
    at: Date.now(),
    until: soon(),
  });
  const start = async (seal = createSeal([cookieKey(1)]), youngForMs = 100): Promise<Replica> => {
    const [commands, listener] = [connectRedis(server, 'commands'), connectRedis(server, 'listener')];
    const local = createRevocations({ now: Date.now, max: 10_000, maxOfPerson: 10_000, onFull: () => undefined });
    const { log } = createTestLog();
    const needs = { local, commands, listener, seal, absoluteMs: 24 * HOUR, now: Date.now, log, youngForMs };
    const shared = createRedisRevocations(needs);
    const isRevoked = (id: string) => shared.isRevoked(marksOf(session({ id })));
    const replica: Replica = {
      ...{ shared, commands, listener, isRevoked },
      hears: (id) =>
        new Promise((resolve) => {
          const look = () => isRevoked(id) && resolve();
          shared.subscribe(look);
          look();
        }),
      close: () => {
        shared.close();
        commands.close();
      },
    };
    replicas.push(replica);
    await Promise.all([shared.start(), untilUp(commands)]);
    return replica;
  };
  const untilCurrent = async ({ shared, listener }: Replica) => {
    await untilUp(listener);
    while (!shared.isCurrent()) await new Promise(setImmediate);
  };
  beforeEach(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    for (const { close } of replicas.splice(0)) close();
    await server.stop();
  });

  it('are in force everywhere in under a second', async () => {
    const all = await Promise.all([start(), start(), start()]);
    const begun = performance.now();
    await all[0].shared.revoke(of('a'));
    await Promise.all(all.map(({ hears }) => hears('a')));
    assert.ok(performance.now() - begun < 1000);
    await Promise.all(all.map(untilCurrent));
  });

  it('of every kind mean the same everywhere', async () => {
    const [here, there] = [await start(), await start()];
    const [at, until, { issuer }] = [Date.now(), soon(), session()];
    await here.shared.revoke({ of: { kind: 'provider-session', issuer, sid: 's' }, at, until });
    await here.shared.revoke({ of: { kind: 'person-without-sid', issuer, subject: 'user-2' }, at, until });
    // Last, as it speaks of the one that is waited for, too.
    await here.shared.revoke({ of: { kind: 'person', issuer, subject: 'user-1' }, at, until });
    await here.shared.revoke(of('last'));
    await there.hears('last');
    const marks = marksOf(session({ claims: { sub: 'other' } }));
    assert.equal(there.shared.isRevoked({ ...marks, sid: 's' }), true);
    assert.equal(there.shared.isRevoked(marks), false);
    assert.equal(there.shared.isRevoked({ ...marks, subject: 'user-1', startedAt: at - 1 }), true);
    assert.equal(there.shared.isRevoked({ ...marks, subject: 'user-1', startedAt: at + 1 }), false);
    assert.equal(there.shared.isRevoked({ ...marks, subject: 'user-2' }), true);
    assert.equal(there.shared.freeFrom({ issuer, subject: 'user-1' }), at + 1);
  });

  it('are known to a replica that starts later, from its first moment on', async () => {
    const here = await start();
    for (let n = 0; n < 2500; n += 250)
      await Promise.all(Array.from({ length: 250 }, (_, at) => here.shared.revoke(of(`s${n + at}`))));
    const late = await start();
    for (let n = 0; n < 2500; n++) assert.ok(late.isRevoked(`s${n}`));
  });

  it('may be unknown to a replica that starts on an emptied Redis, which says so until the others have told', async () => {
    const first = await start();
    await first.shared.revoke(of('a'));
    await untilCurrent(first);
    const usual = createSeal([cookieKey(1)]);
    await server.kill();
    await server.restart();
    const late = await start(usual, 3000);
    assert.equal(late.shared.isCurrent(), false);
    await untilCurrent(late);
    assert.equal(late.isRevoked('a'), true);
    const later = await start(usual, 3000);
    assert.equal(later.shared.isCurrent(), true, 'a stream that has been growing for so long is whole');
  });

  it('reach a replica that was away when they were made', async () => {
    const [here, there] = [await start(), await start()];
    await there.listener.send(['CLIENT', 'SETNAME', 'away']);
    const list = String(await server.ask('CLIENT', 'LIST'));
    const id = /id=(\d+) [^\n]*name=away/.exec(list)?.[1] ?? '';
    await server.ask('CLIENT', 'KILL', 'ID', id);
    for (const name of ['a', 'b', 'c']) await here.shared.revoke(of(name));
    await Promise.all(['a', 'b', 'c'].map(there.hears));
  });

  for (const [what, break_] of [
    ['is frozen', async () => server.freeze()],
    ['died', async () => server.kill()],
  ] as const)
    it(`are in force here at once when Redis ${what}, elsewhere as soon as it is back, and the caller knows`, async () => {
      const [here, there] = [await start(), await start()];
      await here.shared.revoke(of('before'));
      await there.hears('before');
      await break_();
      const revoking = here.shared.revoke(of('a'));
      assert.equal(here.isRevoked('a'), true);
      await assert.rejects(revoking, { code: 'store_unreachable' });
      while (there.shared.isCurrent()) await new Promise(setImmediate);
      if (what === 'is frozen') server.thaw();
      else await server.restart();
      await there.hears('a');
      await Promise.all([here, there].map(untilCurrent));
      // Also what the Redis that died had known, for whoever starts now.
      const late = await start();
      await Promise.all(['before', 'a'].map(late.hears));
    });

  it('survive a Redis that was emptied', async () => {
    const [here, there] = [await start(), await start()];
    await Promise.all(['a', 'b'].map((id) => here.shared.revoke(of(id))));
    await Promise.all(['a', 'b'].map(there.hears));
    await server.ask('FLUSHALL');
    await there.shared.revoke(of('c'));
    await here.hears('c');
    while (Number(await server.ask('XLEN', 'test:revocations')) < 3) await new Promise(setImmediate);
    const late = await start();
    for (const id of ['a', 'b', 'c']) await late.hears(id);
  });

  it('that were sealed with a key that is not here yet are in force as soon as it is', async () => {
    let keys = [cookieKey(1)];
    const [seal, here] = [() => createSeal(keys), await start(createSeal([cookieKey(2), cookieKey(1)]))];
    const there = await start({ seal: (...what) => seal().seal(...what), open: (...what) => seal().open(...what) });
    await here.shared.revoke(of('a'));
    await there.shared.revoke(of('b'));
    await Promise.all([here.hears('b'), there.hears('b')]);
    assert.equal(there.isRevoked('a'), false);
    keys = [cookieKey(2), cookieKey(1)];
    there.shared.reread();
    await there.hears('a');
    await untilCurrent(there);
  });

  it('know a stream that was emptied for another one, even by whoever began both', async () => {
    const [commands, listener] = [connectRedis(server, 'commands'), connectRedis(server, 'listener')];
    await Promise.all([untilUp(commands), untilUp(listener)]);
    const seal = createSeal([cookieKey(1)]);
    const stream = createRevocationStream({ commands, listener, seal, absoluteMs: HOUR, now: Date.now });
    const lost = [(await stream.look()).hasLost];
    await server.ask('FLUSHALL');
    lost.push((await stream.look()).hasLost, (await stream.look()).hasLost);
    for (const { close } of [commands, listener]) close();
    assert.deepEqual(lost, [false, true, false]);
  });

  it('are read and told where Redis was full before anybody came', async () => {
    await server.ask('CONFIG', 'SET', 'maxmemory', '1');
    const [here, there] = [await start(), await start()];
    await Promise.all([here, there].map(untilCurrent));
    await here.shared.revoke(of('a'));
    await there.hears('a');
  });

  it('leave nothing in Redis that says who, or that outlives every session', async () => {
    const here = await start();
    const person = { kind: 'person', issuer: session().issuer, subject: 'user-1' } as const;
    await here.shared.revoke({ of: person, at: Date.now(), until: soon() });
    const kept = JSON.stringify(await server.ask('XRANGE', 'test:revocations', '-', '+'));
    assert.ok(kept.length > 100 && !kept.includes('user-1') && !kept.includes('id.example.com'));
    for (const key of ['test:revocations', 'test:revocations:epoch']) {
      const ttl = Number(await server.ask('PTTL', key));
      assert.ok(ttl > 24 * HOUR && ttl <= 25 * HOUR);
    }
  });

  it('that a stranger wrote into Redis mean nothing', async () => {
    const here = await start();
    const sealed = await createSeal([cookieKey(2)]).seal('revocation', of('a'));
    const u = String(soon());
    for (const r of [sealed, 'garbage', '']) await server.ask('XADD', 'test:revocations', '*', 'u', u, 'r', r);
    await server.ask('XADD', 'test:revocations', '*', 'x', 'y');
    await here.shared.revoke(of('b'));
    const there = await start();
    await there.hears('b');
    assert.equal(there.isRevoked('a'), false);
  });
});
