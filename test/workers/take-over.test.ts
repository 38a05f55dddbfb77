import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { makeKeyPair } from '../../src/config/keygen.ts';
import { ask } from '../flows/ask.ts';
import { changeSettings } from '../flows/change-settings.ts';
import { type Child, startWorkers } from '../flows/child.ts';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';
import { testCertificate } from '../server/test-certificate.ts';

const program = new URL('./unwilling-entry.ts', import.meta.url);
const CALLS = 20;

describe('Two workers, one of which cannot go over to new settings', { timeout: 100_000 }, () => {
  let rig: FakeRig;
  let child: Child;
  let digest: string;
  before(async () => {
    rig = await startFakeRig({
      settings: { 'server.drain': '5s', 'server.drainDelay': '0s', 'log.level': 'info', 'server.reloadInterval': '0s' },
      files: { 'ca.pem': testCertificate.cert },
    });
    await rig.stop();
    child = await startWorkers(rig.settings.file, 2, program);
    await until(() => linesOf(child, 'worker.listening').length === 2);
    digest = await digestShown(child);
  });
  const open = (path: string) =>
    changeSettings(rig.settings.file, (document) => {
      document.addIn(['routes'], { path, upstream: 'control-plane', access: 'public' });
    });
  const trust = (caFile: string | undefined) =>
    changeSettings(rig.settings.file, (document) => {
      if (caFile === undefined) document.deleteIn(['auth', 'caFile']);
      else document.setIn(['auth', 'caFile'], caFile);
    });

  it('stay both with the old ones, and the log says why, once for all', async () => {
    await open('/first');
    await trust('ca.pem');
    child.kill('SIGHUP');
    await until(async () => (await reloads(child, 'refused')) === 1);
    const told = linesOf(child, 'config.refused').filter(({ worker }) => worker === 0);
    assert.match(JSON.stringify(told[0]?.['reasons']), /^\["worker 2: the CA file ca\.pem cannot be read"\]$/);
    assert.deepEqual(await statuses(rig.url, '/first/x'), [401]);
    assert.deepEqual(linesOf(child, 'config.reloaded'), []);
    assert.equal(await digestShown(child), digest);
  });

  it('go back together where a new cookie key was already on its way to everybody', async () => {
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    for (const [name, key] of Object.entries({ cookie_hash_key: hash, cookie_block_key: block })) {
      const file = join(rig.settings.folder, 'secrets', name);
      await writeFile(file, `${key}\n${await readFile(file, 'utf8')}`);
    }
    child.kill('SIGHUP');
    await until(async () => (await reloads(child, 'refused')) === 2);
    // Lines stay together for up to a second.
    await until(() => linesOf(child, 'config.reloaded').length >= 4);
    const took = [1, 2].map((id) => linesOf(child, 'config.reloaded').filter(({ worker }) => worker === id));
    for (const lines of took) {
      assert.equal(lines.length, 2);
      assert.deepEqual(lines[0]?.['changed'], ['cookieKeys']);
      assert.equal(lines[1]?.['digest'], digest);
    }
    assert.deepEqual(await statuses(rig.url, '/first/x'), [401]);
  });

  it('go over together when it can again', async () => {
    await trust(undefined);
    child.kill('SIGHUP');
    await until(() => linesOf(child, 'config.reloaded').length === 8);
    assert.deepEqual(await statuses(rig.url, '/first/x'), [404]);
    assert.notEqual(await digestShown(child), digest);
  });

  it('go over although it dies between the two steps: the one in its place begins with the new ones', async () => {
    await open('/second');
    await writeFile(join(rig.settings.folder, 'die'), '');
    child.kill('SIGHUP');
    await until(() => linesOf(child, 'worker.listening').length === 3);
    assert.equal(linesOf(child, 'worker.lost')[0]?.['worker'], 2);
    assert.deepEqual(await statuses(rig.url, '/second/x'), [404]);
    assert.equal(await reloads(child, 'refused'), 2);
    child.kill('SIGTERM');
    assert.equal(await child.ended, 0);
  });
});

/** How a path is answered, on new connections that go to all workers in turn. */
async function statuses(url: string, path: string): Promise<readonly (number | undefined)[]> {
  const seen = new Set<number | undefined>();
  for (let i = 0; i < CALLS; i += 1) seen.add(await statusOf(`${url}${path}`));
  return [...seen];
}

function statusOf(url: string): Promise<number | undefined> {
  const agent = new Agent();
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, timeout: 10_000 }, (answer) => {
      answer.resume();
      answer.once('end', () => {
        agent.destroy();
        resolve(answer.statusCode);
      });
      answer.once('error', reject);
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', reject);
    sent.end();
  });
}

async function page(child: Child): Promise<string> {
  return (await ask(`${child.admin}/metrics`)).text;
}

async function reloads(child: Child, outcome: string): Promise<number> {
  const line = new RegExp(`^flytegate_config_reloads_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm');
  return Number(line.exec(await page(child))?.[1] ?? 0);
}

async function digestShown(child: Child): Promise<string> {
  return String(/^flytegate_config_info\{digest="(\w+)"\} 1$/m.exec(await page(child))?.[1]);
}

function linesOf(child: Child, event: string): Record<string, unknown>[] {
  const text = child.log();
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).trimEnd();
  const lines: Record<string, unknown>[] = whole === '' ? [] : whole.split('\n').map((line) => JSON.parse(line));
  return lines.filter((line) => line['event'] === event);
}

/** Looks again and again: what happens in other processes tells nobody here. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}
