import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { createAwakeClock } from '../chaos/awake.ts';
import { redisProgram } from '../fakes/redis-server.ts';
import { type Relay, startRelay } from '../fakes/relay.ts';
import { ask } from './ask.ts';
import { changeSettings } from './change-settings.ts';
import { type Replica, type ReplicatedRig, startReplicatedRig } from './replicas.ts';
import { watchers } from './watchers.ts';

/** All that may pass between a sign-out and the end of what it ends. */
const IN_TIME_MS = 1000;
/** Attempts to connect, of two connections, after which the pauses between them are as long as they get. */
const MANY_FAILURES = 14;

// One gateway hears of the sign-out, another one has the streams, in every phase of its life.
describe('what a session has open at another gateway', { skip: redisProgram.skip, timeout: 100_000 }, () => {
  let rig: ReplicatedRig;
  let relay: Relay;
  let replica: Replica;
  before(async () => {
    rig = await startReplicatedRig({ settings: { coordination: 'redis', revocations: 'required' } });
    relay = await startRelay(rig.redis.url);
    replica = await addReplica();
    // A gateway waits a moment before it believes a new Redis that nobody has signed out.
    await untilKnown(replica);
  });
  after(() => relay.stop());
  // A machine that has no time for this process has none for the others.
  const clock = createAwakeClock();
  after(clock.stop);
  /** One that has its own way to Redis. */
  const addReplica = () => rig.addReplica({ 'redis.url': `redis://127.0.0.1:${relay.port}`, 'server.drain': '60s' });
  const signOut = async (cookie: string) => {
    const { status } = await rig.ask('/logout', { fields: { cookie } });
    assert.equal(status, 302, 'acknowledged');
  };
  /** Somebody who watches there; `ended` has how each of the streams ended, and when the last one had. */
  const watch = async () => {
    const { cookie } = await rig.signIn();
    const streams = await Promise.all(Object.values(watchers).map((one) => one(replica.url, ['cookie', cookie])));
    const ended = Promise.all(streams.map(async (one) => Object(await one.ended).code)).then((codes) => ({
      codes: new Set(codes),
      at: clock.now(),
    }));
    return { cookie, ended };
  };
  const endsInTime = async (ended: Promise<{ codes: Set<unknown>; at: number }>, since: number) => {
    const { codes, at } = await ended;
    assert.deepEqual(codes, new Set([Code.Unauthenticated]));
    assert.ok(at - since < IN_TIME_MS, `after ${at - since} ms`);
  };

  it('that has taken new settings over ends within a second of the sign-out, also where it goes by the old ones', async () => {
    const { cookie, ended } = await watch();
    await changeSettings(replica.file, (document) =>
      document.setIn(['upstreams', 'control-plane', 'headersTimeout'], '59s'),
    );
    replica.kill('SIGHUP');
    await untilLogged(replica, 'config.reloaded');
    await signOut(cookie);
    await endsInTime(ended, clock.now());
  });

  it('that has just lost its connection to Redis ends within a second of the sign-out', async () => {
    const { cookie, ended } = await watch();
    relay.reset();
    await signOut(cookie);
    await endsInTime(ended, clock.now());
  });

  it('that could not reach Redis ends within a second of when it can, however long that was', async () => {
    const { cookie, ended } = await watch();
    const accept = relay.refuse();
    while ((await failuresOf(replica)) < MANY_FAILURES) await new Promise(setImmediate);
    await signOut(cookie);
    accept();
    await endsInTime(ended, clock.now());
  });

  it('that drains ends within a second of the sign-out, and not with the drain', async () => {
    const { cookie, ended } = await watch();
    replica.kill('SIGTERM');
    await untilRefused(replica.url);
    await signOut(cookie);
    await endsInTime(ended, clock.now());
    assert.equal(await replica.ended, 0);
  });

  it('that starts meanwhile does not begin: it knows of the sign-out before it listens', async () => {
    const { cookie } = await rig.signIn();
    const release = relay.hold();
    const opened = relay.opened();
    const starting = addReplica();
    await opened;
    await signOut(cookie);
    release();
    const late = await starting;
    assert.equal((await late.ask('/api/v1/ticks', { fields: { cookie } })).status, 401);
  });

  it('that starts without Redis does not begin either: nobody could tell', async () => {
    const { cookie } = await rig.signIn();
    const accept = relay.refuse();
    const late = await addReplica();
    await signOut(cookie);
    const answer = () => late.ask('/api/v1/ticks', { fields: { cookie } });
    assert.equal((await answer()).status, 503);
    accept();
    let { status } = await answer();
    for (; status === 503; { status } = await answer()) await new Promise(setImmediate);
    assert.equal(status, 401);
  });
});

async function untilRefused(url: string): Promise<void> {
  for (;;) {
    try {
      await ask(`${url}/healthcheck`);
    } catch {
      // Refused: the port is closed.
      return;
    }
  }
}

async function untilLogged(replica: Replica, event: string): Promise<void> {
  while (!replica.log().includes(`"${event}"`)) await new Promise(setImmediate);
}

async function untilKnown({ admin }: Replica): Promise<void> {
  while (!(await ask(`${admin}/metrics`)).text.includes('flytegate_revocations_current 1'))
    await new Promise(setImmediate);
}

async function failuresOf({ admin }: Replica): Promise<number> {
  const { text } = await ask(`${admin}/metrics`);
  return Number(/^flytegate_redis_failures_total\{kind="connect"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}
