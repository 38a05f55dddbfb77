import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { before, describe, it } from 'node:test';
import { testCertificate } from '../server/test-certificate.ts';
import { ask } from './ask.ts';
import { changeSettings } from './change-settings.ts';
import { type Child, startWorkers } from './child.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const CALLERS = 9;

describe('Three workers under load', { timeout: 100_000 }, () => {
  let rig: FakeRig;
  let child: Child;
  let load: Load;
  const killed = new Set<unknown>();
  before(async () => {
    rig = await startFakeRig({ settings: { 'server.drain': '5s', 'server.drainDelay': '200ms', 'log.level': 'info' } });
    await rig.stop();
    child = await startWorkers(rig.settings.file, 3);
    await ready(child, 3);
    const fields = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    load = startLoad(rig.url, fields);
    await load.more();
  });

  it('are one gateway to its operator: one page of metrics that adds up, and readiness', async () => {
    const before = await forwarded(child);
    const asked = load.answered();
    await load.more();
    await load.pause();
    const after = await forwarded(child);
    assert.equal(after, load.answered(), `${before} before, when ${asked} were answered`);
    const { text } = await ask(`${child.admin}/metrics`);
    assert.equal(text.match(/^flytegate_config_info/gm)?.length, 1);
    assert.match(text, /flytegate_upstream_addresses\{upstream="control-plane",state="in_use"\} 1\n/);
    load.resume();
  });

  it('lose one to kill -9: its neighbours go on as if nothing had happened, it is replaced, and no sum falls', async () => {
    const counted = await forwarded(child);
    // Lines stay together for up to a second: whom each caller had must be known before one of them takes its lines along.
    await until(() => new Set(forwardedLines(child).map(({ path }) => path)).size === CALLERS);
    // The primary process keeps its own lines together, too.
    await until(() => listening(child).length === 3);
    const [victim] = listening(child);
    assert.ok(victim);
    process.kill(victim.pid, 'SIGKILL');
    await until(() =>
      linesOf(child).some((line) => line['event'] === 'worker.lost' && line['worker'] === victim.worker),
    );
    await until(() => listening(child).length === 4);
    await ready(child, 3);
    assert.ok((await forwarded(child)) >= counted);
    await load.more();
    killed.add(victim.worker);
  });

  it('take new settings over together, and a worker that is replaced while the file is bad gets those in force', async () => {
    await changeSettings(rig.settings.file, (document) =>
      document.addIn(['routes'], { path: '/open', upstream: 'control-plane', access: 'public' }),
    );
    child.kill('SIGHUP');
    await metric(child, /flytegate_config_reloads_total\{outcome="reloaded"\} 1\n/);
    await open(rig.url, 30);
    await writeFile(rig.settings.file, 'server: nonsense\n');
    child.kill('SIGHUP');
    await metric(child, /flytegate_config_reloads_total\{outcome="refused"\} 1\n/);
    const [, second] = listening(child);
    assert.ok(second);
    process.kill(second.pid, 'SIGKILL');
    await until(() => listening(child).length === 5);
    await ready(child, 3);
    await open(rig.url, 30);
    killed.add(second.worker);
  });

  it('drain at SIGTERM and exit 0; every line that was logged is whole, and only callers of the killed ones were hurt', async () => {
    await load.stop();
    const pids = listening(child).map(({ pid }) => pid);
    child.kill('SIGTERM');
    assert.equal(await child.ended, 0);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    const lines = forwardedLines(child);
    load.failed.forEach((count, caller) => {
      const served = new Set(lines.filter(({ path }) => path === `/api/v1/c${caller}`).map(({ worker }) => worker));
      if (count > 0)
        assert.ok(
          [...served].some((worker) => killed.has(worker)),
          `caller ${caller} of ${[...served]}`,
        );
    });
    assert.ok(new Set(lines.map(({ worker }) => worker)).size >= 4, 'all took part');
  });
});

describe('Two workers', { timeout: 60_000 }, () => {
  it('share a port that the system chose, and speak TLS', async () => {
    const rig = await startFakeRig({
      settings: { 'server.tls': { certFile: 'tls/a.crt', keyFile: 'tls/a.key' }, 'server.listen': '127.0.0.1:0' },
      files: { 'tls/a.crt': testCertificate.cert, 'tls/a.key': testCertificate.key },
    });
    await rig.stop();
    const child = await startWorkers(rig.settings.file, 2);
    await ready(child, 2);
    const { port } = new URL(child.url);
    for (let i = 0; i < 10; i += 1) assert.equal(await askTls(Number(port)), 200);
    child.kill('SIGTERM');
    assert.equal(await child.ended, 0);
  });

  it('end with the reason when the port is taken', async () => {
    const rig = await startFakeRig();
    await assert.rejects(startWorkers(rig.settings.file, 2), /ended with 1: .*EADDRINUSE/s);
  });
});

interface Load {
  /** How often each caller failed. */
  readonly failed: readonly number[];
  answered(): number;
  /** Resolves when every caller was answered twenty more times. */
  more(): Promise<void>;
  /** Resolves when nothing is under way. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

/** Callers with a connection each, who ask again and again. */
function startLoad(url: string, fields: Readonly<Record<string, string>>): Load {
  const failed = Array.from({ length: CALLERS }, () => 0);
  const done = failed.map(() => 0);
  const ticks = new EventEmitter().setMaxListeners(0);
  let isOver = false;
  let held: PromiseWithResolvers<void> | undefined;
  let idle = 0;
  const loops = failed.map(async (_, caller) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!isOver) {
      if (held) {
        idle += 1;
        ticks.emit('done');
        await held.promise;
        idle -= 1;
      }
      const isWell = await askOnce(`${url}/api/v1/c${caller}`, fields, agent).catch(() => false);
      if (isWell) done[caller] = (done[caller] ?? 0) + 1;
      else failed[caller] = (failed[caller] ?? 0) + 1;
      ticks.emit('done');
    }
    agent.destroy();
  });
  const stop = async () => {
    isOver = true;
    held?.resolve();
    await Promise.all(loops);
  };
  endLater(stop);
  return {
    failed,
    answered: () => done.reduce((sum, count) => sum + count, 0),
    more: async () => {
      const goal = done.map((count) => count + 20);
      while (done.some((count, caller) => count < (goal[caller] ?? 0))) await once(ticks, 'done');
    },
    pause: async () => {
      held = Promise.withResolvers();
      while (idle < CALLERS) await once(ticks, 'done');
    },
    resume: () => {
      held?.resolve();
      held = undefined;
    },
    stop,
  };
}

function askOnce(url: string, headers: Readonly<Record<string, string>>, agent: Agent): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // The control plane has no such resource: its 404 is an answer like any other.
    const sent = request(url, { headers, agent, timeout: 10_000 }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode === 404));
      answer.once('error', reject);
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', reject);
    sent.end();
  });
}

function askTls(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/healthcheck', ca: testCertificate.cert, agent: false };
    const sent = requestTls(options, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** The public route of the test, on new connections that go to all workers in turn. */
async function open(url: string, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    const agent = new Agent();
    assert.ok(await askOnce(`${url}/open/x`, {}, agent));
    agent.destroy();
  }
}

function linesOf(child: Child): Record<string, unknown>[] {
  const text = child.log();
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).trimEnd();
  return whole === '' ? [] : whole.split('\n').map((line) => JSON.parse(line));
}

function forwardedLines(child: Child): Record<string, unknown>[] {
  return linesOf(child).filter(({ event }) => event === 'request.forwarded');
}

function listening(child: Child): { worker: unknown; pid: number }[] {
  const lines = linesOf(child).filter(({ event }) => event === 'worker.listening');
  return lines.map(({ worker, pid }) => ({ worker, pid: Number(pid) }));
}

async function forwarded(child: Child): Promise<number> {
  const { text } = await ask(`${child.admin}/metrics`);
  return Number(/^flytegate_requests_total\{outcome="forwarded"\} (\d+)$/m.exec(text)?.[1]);
}

async function ready(child: Child, count: number): Promise<void> {
  await until(async () => {
    const { workers } = (await ask(`${child.admin}/readyz`)).json();
    return Object(workers).ready === count;
  });
}

async function metric(child: Child, said: RegExp): Promise<void> {
  await until(async () => said.test((await ask(`${child.admin}/metrics`)).text));
}

/** Looks again and again: what happens in other processes tells nobody here. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}
