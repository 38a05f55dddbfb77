import assert from 'node:assert/strict';
import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createCrew } from '../../src/workers/crew.ts';
import { type FromWorker, isMessage, type ToWorker } from '../../src/workers/messages.ts';
import { createLogLines } from '../flows/log-lines.ts';

describe('A worker that ends at once', () => {
  it('is replaced after ever longer pauses, up to the longest, and no more once it was stopped', async () => {
    cluster.setupPrimary({ exec: join(import.meta.dirname, 'ends-at-once.mjs'), execArgv: [] });
    const lines = createLogLines();
    const { log } = lines.output;
    const pauses = { firstMs: 5, longestMs: 15 };
    const settings = () => '';
    const crew = createCrew({ count: 1, fork: () => cluster.fork(), settings, log, onFailed: () => undefined, pauses });
    void crew.start();
    await lines.until(() => lines.of('worker.lost').length === 4);
    await crew.stop(1000);
    const lost = lines.of('worker.lost');
    assert.deepEqual(
      lost.map(({ againInMs }) => againInMs),
      [5, 10, 15, 15],
    );
    assert.deepEqual(new Set(lost.map(({ code }) => code)), new Set([3]));
    assert.deepEqual(await crew.states(), []);
  });
});

/** A worker that does what the test says. */
class Puppet extends EventEmitter {
  readonly told: ToWorker[] = [];
  readonly process = { pid: 1, kill: () => undefined };
  readonly id: number;

  constructor(id: number) {
    super();
    this.id = id;
  }

  isConnected(): boolean {
    return true;
  }

  send(message: unknown): void {
    if (isMessage<ToWorker>(message)) this.told.push(message);
  }

  says(message: FromWorker): void {
    this.emit('message', message);
  }

  /** The settings that it was told last. */
  get settings(): string | undefined {
    const last = this.told.at(-1);
    return last?.kind === 'settings' ? last.settings : undefined;
  }

  /** Takes over what it was told last. */
  takes(): void {
    const last = this.told.at(-1);
    if (last?.kind === 'settings') this.says({ kind: 'taken', outcome: 'reloaded', id: last.id });
  }
}

// With the next step a cookie key seals that this one step lets everybody open: nobody may be behind by then.
describe('New settings', () => {
  it('are with all workers only when one that was starting by earlier ones has them, too', async () => {
    let settings = 'first';
    const puppets: Puppet[] = [];
    const crew = createCrew({
      count: 2,
      fork: () => {
        const puppet = new Puppet(puppets.length + 1);
        puppets.push(puppet);
        return puppet as unknown as Worker;
      },
      settings: () => settings,
      log: createLogLines().output.log,
      onFailed: () => undefined,
    });
    void crew.start();
    const [serving = assert.fail(), starting = assert.fail()] = puppets;
    for (const puppet of puppets) puppet.says({ kind: 'waiting' });
    serving.says({ kind: 'listening', url: 'http://127.0.0.1:1' });
    settings = 'second';
    let isSettled = false;
    const settling = crew.settle().then(() => {
      isSettled = true;
    });
    assert.deepEqual([serving.settings, starting.settings], ['second', 'first']);
    serving.takes();
    await new Promise(setImmediate);
    assert.equal(isSettled, false);
    starting.says({ kind: 'listening', url: 'http://127.0.0.1:1' });
    await new Promise(setImmediate);
    assert.deepEqual([starting.settings, isSettled], ['second', false]);
    starting.takes();
    await settling;
    for (const puppet of puppets) puppet.says({ kind: 'last', figures: [] });
    const stopped = crew.stop(1000);
    for (const puppet of puppets) puppet.emit('exit', 0, null);
    await stopped;
  });

  it('do not wait for one that ends while it starts', async () => {
    let settings = 'first';
    const puppet = new Puppet(1);
    const crew = createCrew({
      ...{ count: 1, fork: () => puppet as unknown as Worker, settings: () => settings },
      ...{ log: createLogLines().output.log, onFailed: () => undefined },
      pauses: { firstMs: 20, longestMs: 20 },
    });
    void crew.start();
    puppet.says({ kind: 'waiting' });
    settings = 'second';
    const settling = crew.settle();
    puppet.emit('exit', 1, null);
    await settling;
    await crew.stop(1000);
  });
});
