import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fieldsOf } from '../../bench/measures/headers.ts';
import { routesOf } from '../../bench/measures/routes.ts';
import { measureNames, type Options, parseOptions } from '../../bench/options.ts';
import { race, speedRatio, thriftRatio } from '../../bench/race.ts';
import { resultOf } from '../../bench/result.ts';
import { quantile, spreadOf } from '../../bench/statistics.ts';
import { tableOf } from '../../bench/table.ts';

const folder = await mkdtemp(join(tmpdir(), 'flytegate-bench-test-'));
after(() => rm(folder, { recursive: true, force: true }));

const options: Pick<Options, 'rounds' | 'seconds' | 'warmUpS'> = { rounds: 3, seconds: 1, warmUpS: 0 };

describe('npm run bench', () => {
  it('measures with tiny counts, prints a table and leaves the figures as JSON', async () => {
    const args = ['--seconds', '1', '--rounds', '1', '--warm-up', '0', '--only', 'me', '--results', folder];
    const { code, words } = await bench(args);
    assert.equal(code, 0, words);
    assert.match(words, /\/me, cookie ÷ bare node:http, cookie +\d+\.\d\d/);
    const [file = ''] = await readdir(folder);
    const { results } = JSON.parse(await readFile(join(folder, file), 'utf8'));
    assert.equal(results.length, 1);
    for (const { name, perSecond } of results[0].rows) assert.ok(perSecond > 0, `${name} answered nothing`);
  });

  it('refuses options it does not know with its usage', async () => {
    const { code, words } = await bench(['--rounds', 'many']);
    assert.equal(code, 2);
    assert.match(words, /--rounds is a whole number from 1 to 50\n.*--seconds N/s);
  });
});

describe('the options', () => {
  it('choose all measures and the first two processors unless told otherwise', () => {
    const { only, serverCpu, clientCpu, rounds } = parseOptions([]);
    assert.deepEqual(only.slice(0, 7), ['me', 'forward', 'headers', 'routes', 'grpc', 'grpc-streaming', 'alone']);
    assert.deepEqual(only.slice(7), ['start', 'latency', 'memory', 'idle-streams']);
    assert.deepEqual([serverCpu, clientCpu], [0, 1]);
    assert.ok(rounds >= 3);
  });

  it('are all told in the docs', async () => {
    const docs = await readFile(join(import.meta.dirname, '../../docs/performance.md'), 'utf8');
    for (const name of measureNames) assert.match(docs, new RegExp(`^\\| \`${name}\` \\|`, 'm'));
  });

  for (const argv of [
    ['--seconds', '0'],
    ['--rounds', '1.5'],
    ['--only', 'me,you'],
    ['--server-cpu', '-1'],
    ['--fast'],
  ])
    it(`refuse ${argv.join(' ')}`, () => assert.throws(() => parseOptions(argv)));
});

describe('a race', () => {
  it('begins every round with another contestant', async () => {
    const order: string[] = [];
    const contestant = (name: string) => ({ name, pids: [], load: async () => order.push(name) });
    await race(['a', 'b', 'c'].map(contestant), options);
    assert.equal(order.join(''), 'abcbcacab');
  });

  it('takes turns second by second, so that a slow second counts for nobody alone', async () => {
    const order: string[] = [];
    const speeds = { a: [100, 10, 30, 30], b: [200, 20, 60, 60] };
    const contestant = (name: 'a' | 'b') => ({
      ...{ name, pids: [] },
      load: async (seconds: number) => {
        order.push(name + seconds);
        return speeds[name].shift() ?? 0;
      },
    });
    const turns = await race([contestant('a'), contestant('b')], { ...options, rounds: 2, seconds: 2 });
    assert.equal(order.join(' '), 'a1 b1 b1 a1 a1 b1 b1 a1');
    assert.deepEqual(
      turns.get('a')?.map(({ perSecond }) => perSecond),
      [55, 30],
    );
    assert.deepEqual(speedRatio(turns, { over: 'a', under: 'b' }), { min: 0.5, median: 0.5, max: 0.5 });
  });

  it('compares round by round, so that a slow round counts for neither', async () => {
    const speeds = { a: [90, 9, 45], b: [100, 10, 50] };
    const contestant = (name: 'a' | 'b') => ({ name, pids: [], load: async () => speeds[name].shift() ?? 0 });
    const turns = await race([contestant('a'), contestant('b')], options);
    assert.deepEqual(speedRatio(turns, { over: 'a', under: 'b' }), { min: 0.9, median: 0.9, max: 0.9 });
  });

  it('shows no processor time where the system does not tell', async () => {
    const contestant = (name: string) => ({ name, pids: [2 ** 30], load: async () => 1 });
    const turns = await race([contestant('a'), contestant('b')], options);
    assert.equal(thriftRatio(turns, { over: 'a', under: 'b' }), undefined);
  });

  it('tries a turn again, twice, in which the server was not at its limit', {
    skip: process.platform !== 'linux',
  }, async () => {
    let loads = 0;
    // This very process, which has nothing to do meanwhile.
    const load = () => new Promise<number>((resolve) => setTimeout(() => resolve(++loads), 50));
    const turns = await race([{ name: 'idle', pids: [process.pid], load }], options);
    assert.equal(loads, 9);
    assert.equal(turns.get('idle')?.length, 3);
  });

  it('names the contestant that failed', async () => {
    const load = () => Promise.reject(new Error('refused'));
    await assert.rejects(race([{ name: 'a', pids: [], load }], options), /^Error: a: refused$/);
  });
});

describe('the requests', () => {
  for (const count of [1, 100, 10_000])
    it(`ask one of ${count} routes whose hosts and paths are all as long`, () => {
      const { routes, asked } = routesOf(count);
      const names = routes.map(({ host, path }) => host + path);
      assert.equal(new Set(names).size, count);
      assert.ok(names.includes(asked.host + asked.path));
      assert.deepEqual([...new Set(names.map(({ length }) => length))], ['h00.test/p00'.length]);
    });

  for (const count of [5, 50, 190])
    it(`have ${count} fields with their Host`, () => {
      const fields = fieldsOf(count, 'session');
      assert.equal(Object.keys(fields).length + 1, count);
      assert.equal(fields['cookie'], 'session');
    });
});

describe('a table', () => {
  it('says what is counted', async () => {
    const turns = await race([{ name: 'a', pids: [], load: async () => 100 }], options);
    const about = { name: 'x', title: 'messages of 256 bytes' };
    assert.match(tableOf(resultOf(about, turns, [])), /^ +answers\/s/m);
    assert.match(tableOf(resultOf({ ...about, counted: 'messages' }, turns, [])), /^ +messages\/s/m);
  });
});

describe('the statistics', () => {
  it('give the least, the middle and the greatest', () => {
    assert.deepEqual(spreadOf([3, 1, 2]), { min: 1, median: 2, max: 3 });
    assert.deepEqual(spreadOf([4, 1]), { min: 1, median: 2.5, max: 4 });
  });

  it('interpolate between neighbours', () => {
    const sorted = Array.from({ length: 101 }, (_, i) => i);
    assert.equal(quantile(sorted, 0.99), 99);
    assert.equal(quantile([0, 10], 0.25), 2.5);
  });
});

async function bench(args: readonly string[]): Promise<{ code: number | null; words: string }> {
  const run = join(import.meta.dirname, '../../bench/run.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', run, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      words += chunk.toString();
    });
  const [code] = await once(child, 'close');
  return { code, words };
}
