import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDescriptors, readProcessLimits } from '../../src/observe/descriptors.ts';
import type { Facts } from '../../src/observe/log.ts';

/** As `/proc/self/limits` of Linux 6 says it. */
const limitsOf = (soft: string) => `Limit                     Soft Limit           Hard Limit           Units     
Max processes             96200                96200                processes 
Max open files            ${soft.padEnd(20)} 1048576              files     
Max locked memory         8388608              8388608              bytes     
`;

async function told(connections: number, readLimits: () => Promise<string>) {
  const lines: { level: string; event: string; facts: Facts | undefined }[] = [];
  const at = (level: string) => (event: string, facts?: Facts) => void lines.push({ level, event, facts });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  await checkDescriptors({ connections, log, readLimits });
  return lines;
}

describe('a process that may open fewer descriptors than its settings promise', () => {
  it('says so at start, with both numbers and what is enough', async () => {
    const [line, ...more] = await told(20_000, async () => limitsOf('1024'));
    assert.deepEqual(more, []);
    assert.deepEqual([line?.level, line?.event], ['warn', 'gateway.descriptors_low']);
    const { limit, needed, connections, enoughFor } = line?.facts ?? {};
    assert.deepEqual(
      { limit, needed, connections, enoughFor },
      { limit: 1024, needed: 40_200, connections: 20_000, enoughFor: 412 },
    );
  });

  it('promises no connections below nothing', async () => {
    const [line] = await told(10, async () => limitsOf('64'));
    assert.equal(line?.facts?.['enoughFor'], 0);
  });
});

describe('a process that may open as many as its settings promise', () => {
  for (const soft of ['40200', '1048576', 'unlimited'])
    it(`says nothing (${soft})`, async () => assert.deepEqual(await told(20_000, async () => limitsOf(soft)), []));
});

describe('a system that does not tell', () => {
  for (const [what, readLimits] of [
    ['has no such file', () => Promise.reject(new Error('ENOENT'))],
    ['says something else', async () => 'Max processes 1 1 processes\n'],
  ] as const)
    it(`because it ${what}: nobody is warned`, async () => {
      const lines = await told(1_000_000, readLimits);
      assert.deepEqual(
        lines.map(({ level, event }) => `${level} ${event}`),
        ['debug gateway.descriptors_unknown'],
      );
    });
});

describe('this system', { skip: process.platform !== 'linux' }, () => {
  it('tells', async () => {
    const lines = await told(100_000_000, readProcessLimits);
    assert.match(lines[0]?.event ?? 'unlimited', /descriptors_low|unlimited/);
  });
});
