import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { request } from 'undici';
import { redisProgram } from '../fakes/redis-server.ts';
import { ask } from './ask.ts';
import type { Replica, ReplicatedRig } from './replicas.ts';
import { startReplicatedRig } from './replicas.ts';

const page = '/api/v1/projects';
/** What the provider takes over a token, when it is slow, and when it is slower still. */
const [SLOW_MS, SLOWER_MS] = [5000, 6000];
/** Each question may take longer than that; with two seconds on top it is how long a lease lasts. */
const TIMEOUT_MS = 8000;

for (const [store, settings] of [
  ['cookie', { coordination: 'redis' }],
  ['redis', { 'session.store': 'redis' }],
] as const) {
  describe(`three gateways that share a Redis (store: ${store})`, { skip: redisProgram.skip, timeout: 120_000 }, () => {
    let rig: ReplicatedRig;
    let replicas: Replica[];
    before(async () => {
      rig = await startReplicatedRig({
        files: { 'secrets/oidc_client_secret': 'the new secret\nthe old secret\n' },
        settings: { 'auth.timeout': `${TIMEOUT_MS}ms`, ...settings },
      });
      replicas = await Promise.all([rig.addReplica(), rig.addReplica(), rig.addReplica()]);
    });

    /** Somebody whose access token is dead as soon as it is made; the next ones live five minutes. */
    const signInExpired = async () => {
      rig.provider.behaviour.accessTokenTtlS = 0;
      const { cookie } = await rig.signIn('/login?redirect_url=%2Fhealthcheck');
      rig.provider.behaviour.accessTokenTtlS = 300;
      return cookie;
    };

    const waitingAt = async ({ admin }: Replica) => {
      const { text } = await ask(`${admin}/metrics`);
      const counts = [...text.matchAll(/^flytegate_decisions_total\{outcome="(?:hit|miss)"\} (\d+)$/gm)];
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    };

    it('make one token call for 1,000 requests at the moment of expiry, a third aborted, and sign nobody out', async () => {
      const cookie = await signInExpired();
      const asked = rig.provider.calls.token;
      rig.provider.behaviour.latencyMs.token = SLOW_MS;
      const release = rig.provider.hold('token');
      const leaving = new AbortController();
      const statuses = Array.from({ length: 1000 }, async (_, at) => {
        const { url } = replicas[at % 3] ?? assert.fail();
        const isLeaving = at % 3 === Math.floor(at / 3) % 3;
        const headers = { host: new URL(rig.url).host, cookie };
        const signal = isLeaving ? leaving.signal : null;
        try {
          const { statusCode, body } = await request(url + (at % 2 ? '/me' : page), { headers, signal });
          await body.dump();
          return statusCode;
        } catch (cause) {
          return isLeaving ? 'left' : Promise.reject(cause);
        }
      });
      await rig.provider.whenAsked('token', asked + 1);
      const since = performance.now();
      // The provider takes five seconds, and as long as it takes for all of them to wait for it.
      for (const replica of replicas) while ((await waitingAt(replica)) < 333) await new Promise(setImmediate);
      leaving.abort();
      release();
      const counts = Object.groupBy(await Promise.all(statuses), String);
      assert.ok(performance.now() - since > SLOW_MS - 500, 'the provider was slow');
      assert.deepEqual([counts['200']?.length, counts['left']?.length], [666, 334]);
      assert.equal(rig.provider.calls.token, asked + 1);
      // Set-Cookie gets lost: stragglers come with the old cookie, everywhere.
      for (const replica of [...replicas, rig]) {
        const { status } = await replica.ask('/me', { fields: { cookie } });
        assert.equal(status, 200);
      }
      assert.equal(rig.provider.calls.token, asked + 1);
      rig.provider.behaviour.latencyMs.token = 0;
    });

    // A lease is the same whatever is kept where.
    it('spend a token once also where the provider takes longer than a lease lasts', {
      skip: store !== 'cookie',
    }, async () => {
      const cookie = await signInExpired();
      const asked = rig.provider.calls.token;
      const { behaviour } = rig.provider;
      // First the provider does not know the client by this secret, and takes its time to say so; then by the other.
      behaviour.clients = { web: 'the old secret' };
      behaviour.latencyMs.token = SLOWER_MS;
      assert.ok(2 * SLOWER_MS > TIMEOUT_MS + 2000);
      const statuses = await Promise.all(
        replicas.map(async ({ ask }) => (await ask('/me', { fields: { cookie } })).status),
      );
      assert.deepEqual(statuses, [200, 200, 200]);
      const uses = rig.provider.tokenRequests.slice(asked).map((request) => request.get('refresh_token'));
      assert.deepEqual([uses.length, new Set(uses).size], [2, 1]);
      Object.assign(behaviour, { clients: undefined, latencyMs: {} });
    });

    it('refuse a session everywhere in under a second after it was signed out at one of them', async () => {
      const { cookie: signedIn } = await rig.signIn();
      for (const replica of replicas)
        assert.equal((await replica.ask('/me', { fields: { cookie: signedIn } })).status, 200);
      await rig.ask('/logout', { fields: { cookie: signedIn } });
      const begun = performance.now();
      for (const replica of replicas)
        while ((await replica.ask('/me', { fields: { cookie: signedIn } })).status !== 401)
          assert.ok(performance.now() - begun < 1000);
    });

    it('refuse it also at a gateway that starts afterwards', async () => {
      const { cookie } = await rig.signIn('/console');
      await rig.ask('/logout', { fields: { cookie } });
      const late = await rig.addReplica();
      assert.equal((await late.ask('/me', { fields: { cookie } })).status, 401);
    });
  });
}
