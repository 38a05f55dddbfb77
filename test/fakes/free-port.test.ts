import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const module = JSON.stringify(join(import.meta.dirname, 'free-port.ts'));
const script = `const { freePort } = await import(${module}); for (let n = 0; n < 200; n += 1) console.log(await freePort());`;
const systems = '/proc/sys/net/ipv4/ip_local_port_range';

describe('a port that has to be known before somebody listens there', () => {
  it('is given once, whoever asks, as long as its owner lives', async () => {
    const mine: number[] = [];
    for (let n = 0; n < 200; n += 1) mine.push(await freePort());
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const all = [...mine, ...stdout.trim().split('\n').map(Number)];
    assert.equal(new Set(all).size, 400);
  });

  it('is none that the system gives to anybody', { skip: process.platform !== 'linux' }, async () => {
    const [from = 0, to = 0] = readFileSync(systems, 'utf8').trim().split(/\s+/).map(Number);
    const port = await freePort();
    assert.ok(port < from || port > to, `${port} is from ${from} to ${to}`);
  });
});
