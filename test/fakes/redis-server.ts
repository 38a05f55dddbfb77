import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import type { RedisSettings } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { requireProgram } from '../programs.ts';
import { spawnBound } from './bound-child.ts';
import { freePort } from './free-port.ts';

/** A real redis-server on a free port of 127.0.0.1, which forgets everything when it ends. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** What a gateway would have read of it. */
  settings(changes?: Partial<RedisSettings>): RedisSettings;
  /** Asks it something, past the gateway. */
  ask(...command: string[]): Promise<unknown>;
  /** Stops it in the middle of whatever it does: connections stand, nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export const redisProgram = requireProgram('redis');

/**
 * @param options.password what `requirepass` is set to
 * @param options.args     further arguments
 * @param options.file     a settings file to begin with, made in the folder that it is told
 */
export async function startRedis(
  options: { password?: string; args?: readonly string[]; file?: (folder: string) => Promise<string> } = {},
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-redis-'));
  const port = await freePort();
  const { password, args = [] } = options;
  const secret = password === undefined ? [] : ['--requirepass', password];
  const file = options.file ? [await options.file(folder)] : [];
  const start = () => run(file, ['--port', String(port), '--dir', folder, ...secret, ...args]);
  let child = await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    settings: (changes = {}) => ({
      at: { kind: 'primary', address: { host: '127.0.0.1', port, isTls: false } },
      database: 0,
      ...(password !== undefined && { password: new Secret(password) }),
      tls: {},
      keyPrefix: 'test:',
      connectTimeoutMs: 1000,
      commandTimeoutMs: 1000,
      ...changes,
    }),
    ask: async (...command) => {
      const client = createClient({ RESP: 2, socket: { port }, ...(password !== undefined && { password }) });
      client.on('error', () => undefined);
      await client.connect();
      try {
        return await client.sendCommand(command);
      } finally {
        client.destroy();
      }
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill: () => end(child),
    restart: async () => {
      child = await start();
    },
    stop: async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function run(file: readonly string[], args: readonly string[]): Promise<ChildProcess> {
  const quiet = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];
  const child = spawnBound(redisProgram.path, [...file, ...quiet, ...args]);
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        // In every release of Redis and Valkey.
        if (/Ready to accept connections|Sentinel ID is/i.test(said)) resolve();
      });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${said}`)));
  });
  await ready;
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
