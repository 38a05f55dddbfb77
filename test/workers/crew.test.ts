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
    const none = { settings: '', onFailed: () => undefined };
    const crew = createCrew({ count: 1, fork: () => cluster.fork(), ...none, log, pauses });
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
  readonly killed: string[] = [];
  readonly process = { pid: 1, kill: (signal: string) => void this.killed.push(signal) };
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

  /** What it was told last. */
  get last(): readonly [string, string?] {
    const last = this.told.at(-1);
    return last && 'settings' in last ? [last.kind, last.settings] : [last?.kind ?? 'nothing'];
  }

  /** Does what it was told last, or says why it cannot. */
  does(...reasons: string[]): void {
    const last = this.told.at(-1);
    if (last?.kind === 'prepare') this.says({ kind: 'prepared', reasons, id: last.id });
    if (last?.kind === 'settings' || last?.kind === 'commit')
      this.says({ kind: 'taken', outcome: reasons.length > 0 ? 'refused' : 'reloaded', id: last.id });
  }
}

interface Stage {
  readonly crew: ReturnType<typeof createCrew>;
  readonly puppets: readonly Puppet[];
  readonly lines: ReturnType<typeof createLogLines>;
  end(): Promise<void>;
}

/** A crew of puppets, all of which were told the settings `first`. */
function startPuppets(count: number, settleMs = 30_000): Stage {
  const puppets: Puppet[] = [];
  const fork = () => {
    const puppet = new Puppet(puppets.length + 1);
    puppets.push(puppet);
    return puppet as unknown as Worker;
  };
  const lines = createLogLines();
  const pauses = { firstMs: 60_000, longestMs: 60_000 };
  const { log } = lines.output;
  const crew = createCrew({ count, fork, settings: 'first', log, onFailed: () => undefined, pauses, settleMs });
  void crew.start();
  for (const puppet of puppets) puppet.says({ kind: 'waiting' });
  const end = async () => {
    const stopped = crew.stop(1000);
    for (const puppet of puppets) puppet.emit('exit', 0, null);
    await stopped;
  };
  return { crew, puppets, lines, end };
}

const listens: FromWorker = { kind: 'listening', url: 'http://127.0.0.1:1' };
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('New settings', () => {
  it('are asked of all who listen before anybody goes over, and then all do', async () => {
    const { crew, puppets, end } = startPuppets(2);
    const [one = assert.fail(), other = assert.fail()] = puppets;
    for (const puppet of puppets) puppet.says(listens);
    const taking = crew.takeOver('second');
    one.does();
    await turn();
    assert.deepEqual(
      [one.last, other.last],
      [
        ['prepare', 'second'],
        ['prepare', 'second'],
      ],
    );
    other.does();
    await turn();
    assert.deepEqual([one.last, other.last], [['commit'], ['commit']]);
    for (const puppet of puppets) puppet.does();
    assert.deepEqual(await taking, []);
    await end();
  });

  it('are nobody’s when one cannot go over: it says why, the others drop what they made, and who begins later has the old', async () => {
    const { crew, puppets, end } = startPuppets(3);
    const [one = assert.fail(), other = assert.fail(), late = assert.fail()] = puppets;
    for (const puppet of [one, other]) puppet.says(listens);
    const taking = crew.takeOver('second');
    one.does();
    other.does('no such file');
    assert.deepEqual(await taking, ['worker 2: no such file']);
    assert.deepEqual([one.last, other.last], [['drop'], ['drop']]);
    late.says(listens);
    assert.deepEqual(late.last, ['settings', 'first']);
    await end();
  });

  it('are nobody’s when one does not say in time whether it can', async () => {
    const { crew, puppets, end } = startPuppets(2, 20);
    for (const puppet of puppets) puppet.says(listens);
    const taking = crew.takeOver('second');
    puppets[0]?.does();
    assert.deepEqual(await taking, ['worker 2: it did not say in time whether it can']);
    await end();
  });

  it('go on without one that ends while it is asked: another one takes its place', async () => {
    const { crew, puppets, end } = startPuppets(2);
    const [one = assert.fail(), other = assert.fail()] = puppets;
    for (const puppet of puppets) puppet.says(listens);
    const taking = crew.takeOver('second');
    one.does();
    other.emit('exit', null, 'SIGKILL');
    await turn();
    assert.deepEqual(one.last, ['commit']);
    one.does();
    assert.deepEqual(await taking, []);
    await end();
  });

  for (const [what, answer] of [
    ['cannot go over after all', (puppet: Puppet) => puppet.does('broken')],
    ['says nothing any more', () => undefined],
  ] as const)
    it(`end a worker that ${what} once the others go over: nobody stays behind`, async () => {
      const { crew, puppets, lines, end } = startPuppets(2, 500);
      const [one = assert.fail(), other = assert.fail()] = puppets;
      for (const puppet of puppets) puppet.says(listens);
      const taking = crew.takeOver('second');
      for (const puppet of puppets) puppet.does();
      await turn();
      one.does();
      answer(other);
      assert.deepEqual(await taking, []);
      assert.deepEqual([one.killed, other.killed], [[], ['SIGKILL']]);
      assert.deepEqual(
        lines.of('worker.behind').map(({ worker }) => worker),
        [2],
      );
      await end();
    });

  // With the next step a cookie key seals that this one step lets everybody open: nobody may be behind by then.
  it('are with all workers only when one that was starting by earlier ones has them, too', async () => {
    const { crew, puppets, end } = startPuppets(2);
    const [serving = assert.fail(), starting = assert.fail()] = puppets;
    serving.says(listens);
    let isSettled = false;
    const taking = crew.takeOver('second').then(() => {
      isSettled = true;
    });
    assert.deepEqual(starting.last, ['settings', 'first']);
    serving.does();
    await turn();
    serving.does();
    await turn();
    assert.equal(isSettled, false);
    starting.says(listens);
    await turn();
    assert.deepEqual([starting.last, isSettled], [['settings', 'second'], false]);
    starting.does();
    await taking;
    await end();
  });

  it('do not wait for one that ends while it starts', async () => {
    const { crew, puppets, end } = startPuppets(1);
    const taking = crew.takeOver('second');
    puppets[0]?.emit('exit', 1, null);
    assert.deepEqual(await taking, []);
    await end();
  });
});

describe('A crew that was stopped', () => {
  it('leaves nothing behind that would keep the process alive, also while a worker was to be replaced', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const { crew, puppets } = startPuppets(1);
    puppets[0]?.emit('exit', 1, null);
    assert.equal(timers(), before + 1);
    await crew.stop(60_000);
    assert.equal(timers(), before);
  });
});
