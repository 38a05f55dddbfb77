import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createAdminServer, NOBODY_ANSWERS } from '../../src/observe/admin.ts';
import { canConnect, type Readiness } from '../../src/observe/health.ts';
import { createMetrics } from '../../src/observe/metrics.ts';

let readiness: Readiness | Error = { ready: false, state: 'starting', missing: ['provider'] };
const metrics = createMetrics();
const admin = createAdminServer({
  listen: { host: '127.0.0.1', port: 0 },
  readiness: async () => {
    if (readiness instanceof Error) throw readiness;
    return readiness;
  },
  metrics,
  api: async () => NOBODY_ANSWERS,
});
const { host, port } = await admin.start();
const ask = (path: string, init?: RequestInit) => fetch(`http://${host}:${port}${path}`, init);

describe('the admin port', () => {
  after(async () => {
    metrics.stop();
    await admin.stop();
    assert.equal(await canConnect({ host, port }, 1000), false);
  });

  it('says that the process is up', async () => {
    const answer = await ask('/healthz');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  });

  it('is ready only while serving, and lists what is missing either way', async () => {
    const early = await ask('/readyz');
    assert.equal(early.status, 503);
    assert.deepEqual(await early.json(), { ready: false, state: 'starting', missing: ['provider'] });
    readiness = { ready: true, state: 'serving', missing: ['upstream control-plane'] };
    const serving = await ask('/readyz');
    assert.equal(serving.status, 200);
    assert.deepEqual(await serving.json(), readiness);
  });

  it('counts requests, decisions, sign-ins, renewals and upstream answers by outcome', async () => {
    metrics.request('forwarded');
    metrics.request('forwarded');
    metrics.decision('hit');
    metrics.signIn('finished');
    metrics.renewal('refused');
    metrics.upstream('control-plane', 'answered', 30);
    metrics.watchUpstream('control-plane', () => ({ inUse: 2, leftAlone: 1, inFlight: 7 }));
    const page = await (await ask('/metrics')).text();
    for (const line of [
      'flytegate_requests_total{outcome="forwarded"} 2',
      'flytegate_decisions_total{outcome="hit"} 1',
      'flytegate_sign_ins_total{outcome="finished"} 1',
      'flytegate_renewals_total{outcome="refused"} 1',
      'flytegate_upstream_addresses{upstream="control-plane",state="in_use"} 2',
      'flytegate_upstream_addresses{upstream="control-plane",state="left_alone"} 1',
      'flytegate_upstream_requests_in_flight{upstream="control-plane"} 7',
      'flytegate_upstream_seconds_bucket{le="0.02",upstream="control-plane",outcome="answered"} 0',
      'flytegate_upstream_seconds_bucket{le="0.1",upstream="control-plane",outcome="answered"} 1',
      'flytegate_upstream_seconds_bucket{le="+Inf",upstream="control-plane",outcome="answered"} 1',
      'flytegate_upstream_seconds_sum{upstream="control-plane",outcome="answered"} 0.03',
      'flytegate_upstream_seconds_count{upstream="control-plane",outcome="answered"} 1',
    ])
      assert.ok(page.includes(`${line}\n`), line);
    assert.match(page, /flytegate_event_loop_lag_seconds\{quantile="0.99"\} \d/);
  });

  it('answers other paths with 404, other methods with 405, and its own failures with 500', async () => {
    assert.equal((await ask('/')).status, 404);
    assert.equal((await ask('/metrics', { method: 'POST' })).status, 405);
    readiness = new Error('broken');
    assert.equal((await ask('/readyz')).status, 500);
  });
});
