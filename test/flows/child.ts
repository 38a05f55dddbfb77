import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { spawnBound } from '../fakes/bound-child.ts';
import { endLater } from './rig.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** `flytegate serve` as a process of its own; killed with the file that started it. */
export interface Child {
  readonly url: string;
  readonly admin: string;
  readonly pid: number;
  /** Where its debugger listens, if it was told to with `--inspect`. */
  readonly debugger: string | undefined;
  /** Everything it has logged so far. */
  log(): string;
  kill(signal: 'SIGTERM' | 'SIGKILL' | 'SIGHUP'): void;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/**
 * Resolves when the process says that it listens.
 *
 * @param nodeOptions options of Node's own
 */
export function startChild(settings: string, nodeOptions: readonly string[] = []): Promise<Child> {
  return startProgram([...nodeOptions, '--import', 'tsx', cli, 'serve', '--config', settings]);
}

/**
 * The same with several workers, which are processes of its own.
 *
 * @param program what they run, where it is not the usual one
 */
export function startWorkers(
  settings: string,
  workers: number,
  program = new URL('./workers-entry.ts', import.meta.url),
): Promise<Child> {
  const entry = fileURLToPath(program);
  return startProgram(['--import', 'tsx', entry, settings, String(workers)]);
}

async function startProgram(args: readonly string[]): Promise<Child> {
  const child = spawnBound(process.execPath, args);
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  endLater(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const out: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => out.push(data));
  let said = '';
  const listening = new Promise<readonly [string, string]>((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      said += data.toString();
      const [, url, admin] = /listens on (\S+), admin on (\S+)\n/.exec(said) ?? [];
      if (url !== undefined && admin !== undefined) resolve([url, admin]);
    });
  });
  const early = ended.then((code) => Promise.reject(new Error(`ended with ${code}: ${said}`)));
  // Ended later than that is what tests wait for.
  early.catch(() => undefined);
  const [url, admin] = await Promise.race([listening, early]);
  return {
    url,
    admin,
    pid: child.pid ?? 0,
    debugger: /Debugger listening on (ws:\S+)/.exec(said)?.[1],
    log: () => Buffer.concat(out).toString(),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}
