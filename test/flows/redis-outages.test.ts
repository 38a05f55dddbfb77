import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import { ask } from './ask.ts';
import { type ReplicatedRig, startReplicatedRig } from './replicas.ts';

const { skip } = redisProgram;
const minuteMs = 60_000;
const TOKEN = 'k'.repeat(40);
/** The access tokens of these suites live five minutes, so they are due for renewal after four and a half. */
const dueMs = 4.6 * minuteMs;

interface Ready {
  readonly ready: boolean;
  readonly missing: readonly string[];
}

const readiness = async (rig: ReplicatedRig): Promise<Ready> => {
  const { ready, missing } = (await ask(`${rig.admin()}/readyz`)).json();
  return { ready: ready === true, missing: Array.isArray(missing) ? missing.map(String) : [] };
};
const untilMissing = async (rig: ReplicatedRig, count: number): Promise<Ready> => {
  for (;;) {
    const found = await readiness(rig);
    if (found.missing.length === count) return found;
  }
};
const metric = async (rig: ReplicatedRig, name: string) => {
  const { text } = await ask(`${rig.admin()}/metrics`);
  return text
    .split('\n')
    .find((line) => line.startsWith(name))
    ?.split(' ')[1];
};

describe('a gateway whose sessions are in Redis', { skip, timeout: 100_000 }, () => {
  let rig: ReplicatedRig;
  before(async () => {
    const files = { 'secrets/admin_token': TOKEN };
    rig = await startReplicatedRig({ settings: { 'session.store': 'redis' }, files });
  });
  const get = (cookie: string, path = '/me') => rig.ask(path, { fields: { cookie } });

  it('signs in with an ID token of 64 KB, and with groups that no cookie has room for', async () => {
    const groups = Array.from({ length: 2000 }, (_, at) => `department-${at}/team-of-some-length`);
    rig.provider.behaviour.idToken = { groups };
    const { cookie, page } = await rig.signIn();
    rig.provider.behaviour.idToken = {};
    assert.equal(page.status, 200);
    assert.ok(cookie.length < 1000);
    const me = await get(cookie);
    assert.equal(me.status, 200);
    assert.equal((await get(cookie, '/api/v1/projects')).status, 200);
  });

  it('takes nobody new when it is full, and goes on with everybody else', async () => {
    const { cookie } = await rig.signIn('/login?redirect_url=%2Fhealthcheck');
    await rig.redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    assert.equal((await rig.signIn()).page.status, 503);
    assert.equal((await get(cookie)).status, 200);
    rig.move(dueMs);
    const asked = rig.provider.calls.token;
    assert.equal((await get(cookie)).status, 200);
    assert.equal(rig.provider.calls.token, asked + 1, 'there is room for renewals');
    assert.equal((await rig.ask('/logout', { fields: { cookie } })).status, 302);
    assert.equal((await get(cookie)).status, 401);
    assert.equal(Number(await rig.redis.ask('XLEN', 'flytegate:revocations')), 1, 'and for sign-outs');
    await rig.redis.ask('CONFIG', 'SET', 'maxmemory', '0');
  });

  it('says unavailable for a frozen one, in no time after the first, and signs nobody out', async () => {
    const { cookie } = await rig.signIn();
    await get(cookie);
    const { cookie: unseen } = await rig.signIn('/login?redirect_url=%2Fhealthcheck');
    rig.redis.freeze();
    assert.equal((await get(cookie)).status, 200, 'what is remembered goes on');
    const first = await get(unseen);
    assert.equal(first.status, 503);
    assert.equal(first.one('set-cookie'), undefined);
    const begun = performance.now();
    for (let n = 0; n < 50; n++) assert.equal((await get(unseen)).status, 503);
    // A busy machine takes a while for fifty answers; to wait for Redis each time would take fifty seconds.
    assert.ok(performance.now() - begun < 10_000, 'fifty noes');
    const { ready, missing } = await untilMissing(rig, 2);
    assert.deepEqual([ready, missing], [true, ['redis', 'sign-outs elsewhere']]);
    assert.equal(await metric(rig, 'flytegate_redis_up{connection="commands"}'), '0');
    assert.equal(await metric(rig, 'flytegate_revocations_current'), '0');
    rig.redis.thaw();
    await untilMissing(rig, 0);
    assert.equal((await get(unseen)).status, 200);
    assert.equal(await metric(rig, 'flytegate_redis_up{connection="commands"}'), '1');
  });

  it('lets nobody sign in or out as long as that cannot be kept, and says so on a page', async () => {
    const { cookie } = await rig.signIn();
    await rig.redis.kill();
    const { page } = await rig.signIn();
    assert.equal(page.status, 503);
    const out = await rig.ask('/logout', { fields: { cookie } });
    assert.equal(out.status, 503);
    assert.equal(out.one('set-cookie'), undefined);
    await rig.redis.restart();
    await untilMissing(rig, 0);
    const { page: again } = await rig.signIn();
    assert.equal(again.status, 200);
  });

  it('tells an operator that it could not be told, and the log by the outage’s own code', async () => {
    await rig.redis.kill();
    for (const [path, question] of [
      ['/api/sessions', {}],
      ['/api/sessions/revoke', { method: 'POST', body: '{"subject":"ada"}' }],
    ] as const) {
      const { status, json } = await ask(rig.admin() + path, {
        ...question,
        fields: { authorization: `Bearer ${TOKEN}` },
      });
      assert.deepEqual([status, json()['code']], [503, 'unavailable']);
      const line = rig.log.of('admin.failed').at(-1) ?? {};
      assert.deepEqual([line['level'], line['code'], line['path']], ['warn', 'store_unreachable', path]);
    }
    await rig.redis.restart();
    await untilMissing(rig, 0);
  });

  it('asks people to sign in again when all sessions were deleted', async () => {
    const { cookie } = await rig.signIn('/login?redirect_url=%2Fhealthcheck');
    await rig.redis.ask('FLUSHALL');
    const answer = await get(cookie);
    assert.equal(answer.status, 401);
    assert.match(answer.one('set-cookie') ?? '', /Max-Age=0/);
  });
});

describe('a gateway with sessions in cookies, coordinated by Redis', { skip, timeout: 100_000 }, () => {
  let rig: ReplicatedRig;
  before(async () => {
    rig = await startReplicatedRig({ settings: { coordination: 'redis' } });
  });
  const get = (cookie: string, path = '/me') => rig.ask(path, { fields: { cookie } });

  it('goes on without it, renews nothing, and is unavailable only when an access token is dead', async () => {
    const { cookie } = await rig.signIn();
    await rig.redis.kill();
    await untilMissing(rig, 2);
    assert.equal((await get(cookie)).status, 200);
    const asked = rig.provider.calls.token;
    rig.move(dueMs);
    assert.equal((await get(cookie)).status, 200, 'due, and alive');
    rig.move(minuteMs);
    const dead = await get(cookie);
    assert.equal(dead.status, 503);
    assert.equal(dead.one('set-cookie'), undefined);
    assert.equal(rig.provider.calls.token, asked, 'no token is spent that somebody else may have spent');
    assert.equal((await rig.signIn()).page.status, 200, 'signing in needs no Redis');
    await rig.redis.restart();
    await untilMissing(rig, 0);
    rig.move(10_000);
    let back = await get(cookie);
    while (back.status === 503) {
      rig.move(1000);
      back = await get(cookie);
    }
    assert.equal(back.status, 200);
  });

  it('refuses at once who signed out while it was away, tells them that others may not know yet, and then tells the others', async () => {
    const replica = await rig.addReplica();
    const { cookie } = await rig.signIn();
    assert.equal((await replica.ask('/me', { fields: { cookie } })).status, 200);
    rig.redis.freeze();
    const out = await rig.ask('/logout', { fields: { cookie } });
    assert.equal(out.status, 503);
    const { level, code } = rig.log.of('logout.store_failed').at(-1) ?? {};
    assert.deepEqual([level, code], ['warn', 'store_unreachable']);
    assert.equal((await get(cookie)).status, 401);
    assert.equal((await replica.ask('/me', { fields: { cookie } })).status, 200);
    rig.redis.thaw();
    while ((await replica.ask('/me', { fields: { cookie } })).status !== 401) await new Promise(setImmediate);
  });
});

describe('a gateway that requires revocations', { skip, timeout: 100_000 }, () => {
  it('refuses sessions while nobody knows who was signed out, also remembered ones, and not bearers', async () => {
    const rig = await startReplicatedRig({ settings: { coordination: 'redis', revocations: 'required' } });
    // Of a Redis that is new nobody knows whether it was emptied, and what others know.
    await untilMissing(rig, 0);
    const { cookie } = await rig.signIn();
    const bearer = `Bearer ${await rig.provider.accessToken()}`;
    const get = () => rig.ask('/me', { fields: { cookie } });
    assert.equal((await get()).status, 200);
    await rig.redis.kill();
    while ((await get()).status === 200) await new Promise(setImmediate);
    const answer = await get();
    assert.equal(answer.status, 503);
    assert.equal(answer.one('set-cookie'), undefined);
    assert.equal((await rig.ask('/me', { fields: { 'flyte-authorization': bearer } })).status, 200);
    await rig.redis.restart();
    await untilMissing(rig, 0);
    assert.equal((await get()).status, 200);
  });
});
