import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createCrew } from '../../src/workers/crew.ts';
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
