import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import { before, describe, it } from 'node:test';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { ask } from './ask.ts';
import { startChild } from './child.ts';
import { endLater, type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

describe('the log', () => {
  it('has one line per forwarded request, with the id that the upstream was told', async () => {
    const rig = await startFakeRig();
    const { cookie } = await rig.signIn();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => rig.ask('/api/v1/whoami?secret=query', { fields: { cookie } })),
    );
    const told = answers.map((answer) => Object(answer.json()['headers'])['x-request-id']);
    await rig.stop();
    const lines = rig.log.of('request.forwarded').filter((line) => line['path'] === '/api/v1/whoami');
    assert.deepEqual(lines.map((line) => line['id']).sort(), told.sort());
    assert.equal(new Set(told).size, 20);
    for (const { status, bytes, complete, upstream, method, tookMs } of lines) {
      assert.deepEqual(
        { status, complete, upstream, method },
        { status: 200, complete: true, upstream: 'control-plane', method: 'GET' },
      );
      assert.ok(typeof bytes === 'number' && typeof tookMs === 'number');
    }
    assert.doesNotMatch(rig.log.text(), /secret=query/);
  });

  it('has one line at each change of state: started, signed in, renewed, signed out, stopped', async () => {
    const rig = await startFakeRig();
    const { cookie } = await rig.signIn();
    rig.move(4.6 * 60_000);
    await rig.ask('/me', { fields: { cookie } });
    await rig.ask('/logout', { fields: { cookie } });
    await rig.stop();
    const states = [
      'gateway.started',
      'login.finished',
      'renewal.finished',
      'logout.finished',
      'gateway.draining',
      'gateway.stopped',
    ];
    assert.deepEqual(
      states.map((event) => rig.log.of(event).length),
      states.map(() => 1),
    );
  });
});

describe('a gateway whose settings promise more than the system gives', { skip: process.platform !== 'linux' }, () => {
  it('says so once it has started, and serves', async () => {
    const rig = await startFakeRig({ settings: { 'server.limits.connections': 1_000_000 } });
    const lines = rig.log.of('gateway.descriptors_low');
    assert.deepEqual(
      lines.map(({ level, needed, connections }) => ({ level, needed, connections })),
      [{ level: 'warn', needed: 2_000_200, connections: 1_000_000 }],
    );
    assert.equal((await rig.ask('/healthcheck')).status, 200);
  });
});

describe('the operator’s port', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });

  it('counts requests by outcome, decisions, sign-ins, renewals and the upstream’s time', async () => {
    const { cookie } = await rig.signIn();
    for (let i = 0; i < 3; i++) await rig.ask('/api/v1/projects', { fields: { cookie } });
    await rig.ask('/api/v1/projects', { fields: { authorization: 'Bearer bad' } });
    await rig.ask('//');
    rig.move(4.6 * 60_000);
    await rig.ask('/me', { fields: { cookie } });
    const { text } = await ask(`${rig.admin()}/metrics`);
    const value = (line: string) =>
      Number(
        text
          .split('\n')
          .find((one) => one.startsWith(`${line} `))
          ?.split(' ')[1],
      );
    const atLeastOne = [
      'flytegate_requests_total{outcome="forwarded"}',
      'flytegate_requests_total{outcome="endpoint"}',
      'flytegate_requests_total{outcome="sign_in"}',
      'flytegate_requests_total{outcome="refused"}',
      'flytegate_decisions_total{outcome="hit"}',
      'flytegate_decisions_total{outcome="miss"}',
      'flytegate_decisions_total{outcome="allowed"}',
      'flytegate_decisions_total{outcome="refused"}',
      'flytegate_sign_ins_total{outcome="started"}',
      'flytegate_sign_ins_total{outcome="finished"}',
      'flytegate_renewals_total{outcome="renewed"}',
      'flytegate_upstream_seconds_count{upstream="control-plane",outcome="answered"}',
    ];
    for (const line of atLeastOne) assert.ok(value(line) >= 1, line);
    assert.ok(value('flytegate_event_loop_lag_seconds{quantile="0.99"}') >= 0);
  });

  it('lists what is missing without leaving service for it', async () => {
    const ready = async () => {
      const answer = await ask(`${rig.admin()}/readyz`);
      return [answer.status, answer.json()['missing']];
    };
    await rig.ask('/me', { fields: { authorization: `Bearer ${await rig.provider.accessToken()}` } });
    assert.deepEqual(await ready(), [200, []]);
    const lost = await startFakeRig({ upstream: 'http://127.0.0.1:1' });
    await lost.signIn();
    const { status, json } = await ask(`${lost.admin()}/readyz`);
    assert.equal(status, 200);
    assert.deepEqual(json()['missing'], ['upstream control-plane']);
    await lost.provider.stop();
    await lost.restart();
    const { status: stillReady, json: more } = await ask(`${lost.admin()}/readyz`);
    assert.equal(stillReady, 200);
    assert.deepEqual(more()['missing'], [
      `provider ${lost.issuer}`,
      `keys of ${lost.issuer}`,
      'upstream control-plane',
    ]);
  });

  it('is let go of again when the public port is taken', async () => {
    const taken = await startFakeRig();
    const settings = { 'server.admin': taken.admin().replace('http://', '') };
    await taken.stop();
    const failing = await startFakeRig({ settings });
    await failing.stop();
    const other = createServer().listen(failing.port, '127.0.0.1');
    endLater(async () => void other.close());
    await once(other, 'listening');
    await assert.rejects(failing.restart(), { code: 'EADDRINUSE' });
    await assert.rejects(ask(`${taken.admin()}/healthz`), { code: 'ECONNREFUSED' });
  });

  it('says nothing of itself on the public one', async () => {
    for (const path of ['/metrics', '/healthz', '/readyz']) assert.equal((await rig.ask(path)).status, 401);
  });
});

describe('flytegate serve as a process', () => {
  it('drains at SIGTERM: not ready, nobody new, what streams runs on to its end, exit 0', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    const streaming = Promise.withResolvers<ServerResponse>();
    upstream.script({
      kind: 'by-hand',
      http1: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        streaming.resolve(response);
      },
    });
    const rig = await startFakeRig({ upstream: upstream.url, settings: { 'server.drain': '30s' } });
    await rig.stop();
    const child = await startChild(rig.settings.file);
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const request = httpRequest(`${rig.url}/events`, { headers: { authorization } });
    request.end();
    const [response]: IncomingMessage[] = await once(request, 'response');
    assert.ok(response);
    await once(response, 'data');
    assert.equal((await ask(`${child.admin}/readyz`)).status, 200);
    child.kill('SIGTERM');
    await untilRefused(rig.port);
    const draining = await ask(`${child.admin}/readyz`);
    assert.deepEqual([draining.status, draining.json()['state']], [503, 'draining']);
    (await streaming.promise).end('data: last\n\n');
    const rest: Buffer[] = [];
    for await (const data of response) rest.push(data);
    assert.equal(Buffer.concat(rest).toString(), 'data: last\n\n');
    assert.equal(response.complete, true);
    assert.equal(await child.ended, 0);
    assert.match(child.log(), /gateway\.stopped/);
  });

  it('is killed and started again, and sessions go on', async () => {
    const rig = await startDemoRig();
    await rig.stop();
    const first = await startChild(rig.settings.file);
    const { cookie } = await rig.signIn();
    first.kill('SIGKILL');
    assert.equal(await first.ended, 'SIGKILL');
    const second = await startChild(rig.settings.file);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
    second.kill('SIGTERM');
    assert.equal(await second.ended, 0);
  });
});

/** Resolves when the port takes no more connections: asked again as soon as one was taken, 10,000 times at most. */
async function untilRefused(port: number): Promise<void> {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (!isOpen) return;
  }
  throw new Error('the port still takes connections');
}
