import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setImmediate as turnEnd } from 'node:timers/promises';
import { createLinesOut } from '../../src/observe/lines-out.ts';

const folder = mkdtempSync(join(tmpdir(), 'flytegate-lines-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('lines on their way out', () => {
  it('wait until they are many or hurried', async () => {
    const { file, fd } = opened('gathered');
    const out = createLinesOut(fd);
    out.write('one\n');
    assert.equal(readFileSync(file, 'utf8'), '');
    out.flushSync();
    assert.equal(readFileSync(file, 'utf8'), 'one\n');
    closeSync(fd);
  });

  it('arrive whole and in order, however they were sent', async () => {
    const script = `for (let i = 0; i < 5000; i++) { log[i % 100 ? 'info' : 'warn']('line', { i }); if (i % 70 === 0) await new Promise(setImmediate); }`;
    const { words } = await run(script);
    const seen = words.trimEnd().split('\n');
    assert.deepEqual(
      seen.map((line) => JSON.parse(line).i),
      Array.from({ length: 5000 }, (_, i) => i),
    );
  });

  for (const isShared of [false, true])
    it(`arrive byte for byte, short and long, in any alphabet${isShared ? ', where others write, too' : ''}`, {
      timeout: 60_000,
    }, async () => {
      const { file, fd } = opened(`alphabets-${isShared}`);
      const out = createLinesOut(fd, isShared);
      const alphabets = ['x', 'ü', '語', '🚀', '"\\'];
      const lines = Array.from({ length: 180 }, (_, i) => {
        const length = [1, 30, 300, 1364, 4095, 4096, 31_999, 32_000, 90_000][i % 9] ?? 0;
        return `${i} ${(alphabets[i % alphabets.length] ?? '').repeat(length)}\n`;
      });
      for (const [i, line] of lines.entries()) {
        out.write(line);
        if (i % 7 === 0) out.hurry();
        if (i % 20 === 0) await turnEnd();
      }
      // What is under way would be overtaken.
      const whole = Buffer.byteLength(lines.join(''));
      for (out.hurry(); statSync(file).size < whole; out.hurry()) await turnEnd();
      out.flushSync();
      assert.ok(readFileSync(file, 'utf8') === lines.join(''));
      closeSync(fd);
    });

  it('stay whole among those that another process writes to the same pipe', async () => {
    const write = `for (let i = 0; i < 5000; i++) { log.info('line', { i, pad: 'x'.repeat(i % 700) }); if (i % 50 === 0) await new Promise(setImmediate); }`;
    // The second is started by the first, and has its standard output.
    const script = `
      const { spawn } = await import('node:child_process');
      const { once } = await import('node:events');
      const args = [...process.execArgv, '-e', ${JSON.stringify(moduleOf(write, 2))}];
      const other = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
      ${write}
      await once(other, 'exit'); process.disconnect();`;
    const child = start(script, 1);
    let words = '';
    // Slow enough for the pipe to be full: then a longer write lets others in between.
    child.stdout?.on('data', (chunk: Buffer) => {
      words += chunk.toString();
      child.stdout?.pause();
      setTimeout(() => child.stdout?.resume(), 2);
    });
    await once(child, 'close');
    const seen = words
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const worker of [1, 2])
      assert.deepEqual(
        seen.filter((line) => line.worker === worker).map(({ i }) => i),
        Array.from({ length: 5000 }, (_, i) => i),
      );
  });

  it('arrive although the reader is slow to take them when the process ends already', async () => {
    const child = start(`for (let i = 0; i < 5000; i++) log.info('line', { i });`);
    let words = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      words += chunk.toString();
      child.stdout?.pause();
      setTimeout(() => child.stdout?.resume(), 20);
    });
    await once(child, 'close');
    assert.equal(words.match(/"event":"line"/g)?.length, 5000);
  });

  it('keep no process that ends waiting for a reader who takes nothing', { timeout: 60_000 }, async () => {
    const child = start(`for (let i = 0; i < 5000; i++) log.info('line', { i });`);
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    child.stdout?.destroy();
  });

  for (const end of ['', 'process.exit(0);'])
    it(`are not lost when the process ends ${end ? 'by exit' : 'for want of work, which they do not keep up'}`, async () => {
      const { code, words } = await run(`for (let i = 0; i < 1000; i++) log.info('last.words', { i }); ${end}`);
      assert.equal(code, 0);
      assert.equal(words.match(/"event":"last.words"/g)?.length, 1000);
    });

  it('say why a process ends, in order, when it exits right after an error', async () => {
    for (let round = 0; round < 3; round++) {
      const { words } = await run(`log.error('internal'); log.info('after'); process.exit(1);`);
      const events = words
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).event);
      assert.deepEqual(events, ['internal', 'after']);
    }
  });

  for (const level of ['info', 'warn'])
    it(`go nowhere, and hold nothing up, when nobody reads any more (${level})`, async () => {
      const child = start(`
        const { once } = await import('node:events');
        log.info('first'); flush();
        await once(process, 'message');
        for (let i = 0; i < 1000; i++) { log.${level}('more', { i }); if (i % 50 === 0) await new Promise(setImmediate); }
        process.send('alive'); process.disconnect();`);
      await once(child.stdout ?? child, 'data');
      child.stdout?.destroy();
      child.send('go on');
      const [word] = await once(child, 'message');
      assert.equal(word, 'alive');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
    });

  it('are counted where a reader that stalls makes them get lost, and a line says so afterwards', async () => {
    const child = start(`
      const { once } = await import('node:events');
      const pad = 'x'.repeat(1000);
      for (let i = 0; i < 30000; i++) log.info('line', { pad });
      process.send('written'); await once(process, 'message');
      process.disconnect();`);
    await once(child, 'message');
    let words = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      words += chunk.toString();
      if (words.slice(-200).includes('log.lines_lost')) child.send('seen');
    });
    await once(child, 'close');
    const lines = words.trimEnd().split('\n');
    const lost = lines.filter((line) => line.includes('"event":"log.lines_lost"'));
    const count = lost.reduce((sum, line) => sum + Number(JSON.parse(line).lines), 0);
    assert.ok(count > 0);
    assert.equal(lines.length - lost.length + count, 30_000);
  });
});

function opened(name: string): { file: string; fd: number } {
  const file = join(folder, name);
  return { file, fd: openSync(file, 'w') };
}

function moduleOf(script: string, worker?: number): string {
  const log = JSON.stringify(join(import.meta.dirname, '../../src/observe/log.ts'));
  const needs = JSON.stringify({ level: 'info', ...(worker !== undefined && { worker }) });
  return `const { createLog } = await import(${log}); const { log, flush } = createLog(${needs}); ${script}`;
}

function start(script: string, worker?: number): ChildProcess {
  const args = ['--import', 'tsx', '--input-type=module', '-e', moduleOf(script, worker)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
}

async function run(script: string): Promise<{ code: unknown; words: string }> {
  const child = start(script);
  let words = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  const [code] = await once(child, 'close');
  return { code, words };
}
