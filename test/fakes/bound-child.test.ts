import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

const bound = JSON.stringify(join(import.meta.dirname, 'bound-child.ts'));

describe('a program that tests have started', { timeout: 60_000 }, () => {
  let server: Server;
  before(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  /** A process, and the connection that a program which it has started holds open as long as it lives. */
  const startBoth = async (): Promise<{ parent: ChildProcess; held: Socket }> => {
    const { port } = server.address() as AddressInfo;
    const program = `process.stdin; require('node:net').connect(${port}, '127.0.0.1').on('error', () => process.exit())`;
    const script = `process.stdin.once('end', () => process.exit()).resume(); const { spawnBound } = await import(${bound}); spawnBound(process.execPath, ['-e', ${JSON.stringify(program)}]);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const parent = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] });
    const [held] = await once(server, 'connection');
    return { parent, held };
  };
  const ends = async (held: Socket) => {
    held.on('error', () => undefined); // reset, which is an end as well
    held.resume();
    await once(held, 'close');
  };

  it('ends with the process that has started it, when that ends by itself', async () => {
    const { parent, held } = await startBoth();
    parent.stdin?.end();
    await ends(held);
    assert.equal(parent.killed, false);
  });

  const skip = existsSync('/usr/bin/setpriv') ? false : 'setpriv (util-linux) is not installed';
  it('ends with it when that is killed', { skip }, async () => {
    const { parent, held } = await startBoth();
    parent.kill('SIGKILL');
    await ends(held);
  });
});
