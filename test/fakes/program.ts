import { once } from 'node:events';
import { join } from 'node:path';
import { spawnBound } from './bound-child.ts';

/** A command of the project, running as a process of its own. */
export interface Running {
  /** Everything it has written so far, on both outputs. */
  output(): string;
  /** Asks it to end and waits until it has. @returns its exit code */
  stop(): Promise<number | null>;
}

const root = join(import.meta.dirname, '../..');

/**
 * Runs a TypeScript file of the project and waits until it says that it is ready.
 *
 * @param file  from the project's folder
 * @param ready what its output has to match
 * @throws when it ends before that
 */
export async function startProgram(file: string, args: readonly string[], ready: RegExp): Promise<Running> {
  const child = spawnBound(process.execPath, ['--import', 'tsx', file, ...args], { cwd: root });
  let text = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (ready.test(text)) resolve();
    });
  }
  child.once('error', reject);
  child.once('exit', (code) => reject(new Error(`${file} ended with ${code}: ${text}`)));
  await promise;
  return {
    output: () => text,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return child.exitCode;
    },
  };
}
