import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { before, describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import type { Answer, Question } from './ask.ts';
import { type Replica, type ReplicatedRig, startReplicatedRig } from './replicas.ts';
import { startFakeRig } from './rig.ts';

const REFUSED = { status: 400, body: '{"error":"invalid_grant"}' };
/** All that may pass between the provider's no and the end of what it ends. */
const IN_TIME_MS = 1000;

interface Gateway {
  readonly url: string;
  ask(path: string, question?: Question): Promise<Answer>;
}

/** Events without end, of which the first has come. */
async function watch({ url }: Gateway, fields: Record<string, string>) {
  const events = get(`${url}/api/v1/ticks`, { headers: fields });
  const [response] = await once(events, 'response');
  // Of the connection; the answer says the same.
  events.on('error', () => undefined);
  const body: IncomingMessage = response;
  assert.equal(body.statusCode, 200);
  await once(body, 'data');
  const ended = new Promise<string>((resolve) => {
    body.once('end', () => resolve('complete'));
    body.once('error', () => resolve('cut'));
  });
  return {
    ended,
    /** Waits for one more. */
    next: () => Promise.race([once(body, 'data').then(() => 'goes on'), ended]),
    stop: () => void events.destroy(),
  };
}

for (const [store, settings] of [
  ['cookie', { coordination: 'redis' }],
  ['redis', { 'session.store': 'redis' }],
] as const)
  describe(`a renewal that the provider refuses (store: ${store})`, {
    skip: redisProgram.skip,
    timeout: 90_000,
  }, () => {
    let rig: ReplicatedRig;
    let others: Replica[];
    before(async () => {
      rig = await startReplicatedRig({ settings });
      others = await Promise.all([rig.addReplica(), rig.addReplica()]);
    });
    const fields = (cookie: string) => ({ host: new URL(rig.url).host, cookie });
    const me = async (gateway: Gateway, cookie: string) => (await gateway.ask('/me', { fields: { cookie } })).status;

    it('ends the session at every gateway, with what it has open there, in under a second', async () => {
      const { cookie } = await rig.signIn();
      const bystander = await rig.signIn();
      const streams = await Promise.all(others.map((other) => watch(other, fields(cookie))));
      const own = await watch(rig, fields(cookie));
      const untouched = await watch(others[0] ?? rig, fields(bystander.cookie));
      rig.provider.behaviour.answers.token = REFUSED;
      rig.move(290_000);
      const began = performance.now();
      assert.equal(await me(rig, cookie), 401);
      const ends = await Promise.all([own, ...streams].map(({ ended }) => ended));
      assert.deepEqual(ends, ['cut', 'cut', 'cut']);
      assert.ok(performance.now() - began < IN_TIME_MS, `took ${performance.now() - began} ms`);
      for (const other of others) assert.equal(await me(other, cookie), 401);
      assert.equal(rig.log.of('session.over').length, 1);
      assert.equal(await untouched.next(), 'goes on', 'somebody else’s session is another');
      untouched.stop();
      if (store === 'redis') {
        const kept: string[] = Object(await rig.redis.ask('KEYS', 'flytegate:s:*'));
        assert.equal(kept.length, 1, 'and it is listed no more');
      }
      delete rig.provider.behaviour.answers.token;
      rig.move(-290_000);
      assert.equal((await rig.signIn()).page.status, 200, 'signing in again is another session');
    });

    it('because it is an older one leaves a session alone that was renewed well', {
      skip: store === 'redis',
    }, async () => {
      rig.provider.behaviour.accessTokenTtlS = 0;
      const { browser, cookie: old } = await rig.signIn('/login?redirect_url=%2Fhealthcheck');
      rig.provider.behaviour.accessTokenTtlS = 3600;
      await browser.open(`${rig.url}/me`);
      const cookie = browser.cookiesFor(`${rig.url}/`);
      assert.notEqual(cookie, old);
      const [first = rig, second = rig] = others;
      const stream = await watch(first, fields(cookie));
      // So that nobody remembers what became of the older one.
      const results: string[] = Object(await rig.redis.ask('KEYS', 'flytegate:renewed:*'));
      assert.ok(results.length > 0);
      for (const key of results) await rig.redis.ask('DEL', key);
      rig.provider.behaviour.answers.token = REFUSED;
      const asked = rig.provider.calls.token;
      assert.equal(await me(second, old), 401);
      assert.equal(rig.provider.calls.token, asked + 1);
      delete rig.provider.behaviour.answers.token;
      // Whatever was told has been heard by now: a sign-out that came later is.
      const other = await rig.signIn();
      await rig.ask('/logout', { fields: { cookie: other.cookie } });
      for (const gateway of others) while ((await me(gateway, other.cookie)) !== 401);
      for (const gateway of [rig, ...others]) assert.equal(await me(gateway, cookie), 200);
      assert.equal(await stream.next(), 'goes on');
      stream.stop();
    });
  });

describe('a renewal that the provider refuses (store: memory)', { timeout: 60_000 }, () => {
  it('ends the session and what it has open, and it is listed no more', async () => {
    const token = 'k'.repeat(40);
    const rig = await startFakeRig({
      settings: { 'session.store': 'memory' },
      files: { 'secrets/admin_token': token },
    });
    const { cookie } = await rig.signIn();
    const stream = await watch(rig, { cookie });
    const listed = async () => {
      const answer = await fetch(`${rig.admin()}/api/sessions`, { headers: { authorization: `Bearer ${token}` } });
      return Object(await answer.json()).sessions.length;
    };
    assert.equal(await listed(), 1);
    rig.provider.behaviour.answers.token = REFUSED;
    rig.move(290_000);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 401);
    assert.equal(await stream.ended, 'cut');
    assert.equal(await listed(), 0);
  });
});
