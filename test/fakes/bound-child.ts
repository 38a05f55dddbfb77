import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** A process with nothing to read; both of its outputs are ours. */
export type BoundChild = ChildProcessByStdio<null, Readable, Readable>;

/** Asks Linux to send a signal to the program when whoever started it is gone, and becomes that program. */
const SETPRIV = '/usr/bin/setpriv';
/** Those that live, and what ends them. */
const children = new Map<BoundChild, 'SIGKILL' | 'SIGTERM'>();

/**
 * Starts a program that ends when this process does, however that happens: nothing is left behind by tests that were broken
 * off. After a SIGKILL of this process that takes `setpriv` (util-linux); elsewhere it holds for every other end.
 *
 * @param options.orphanedBy the signal that ends it then; SIGKILL unless the program has processes of its own to end
 */
export function spawnBound(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; orphanedBy?: 'SIGKILL' | 'SIGTERM' } = {},
): BoundChild {
  const { orphanedBy = 'SIGKILL', ...rest } = options;
  const child = spawn(...boundCommand(command, args, orphanedBy), { ...rest, stdio: ['ignore', 'pipe', 'pipe'] });
  if (children.size === 0) process.on('exit', endAll);
  children.set(child, orphanedBy);
  const forget = () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', endAll);
  };
  child.once('exit', forget);
  child.once('error', forget);
  return child;
}

/** The same for a process that is spawned otherwise: a program and arguments that Linux sends the signal to when we are gone. */
export function boundCommand(
  command: string,
  args: readonly string[],
  orphanedBy: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): [command: string, args: readonly string[]] {
  if (!existsSync(SETPRIV)) return [command, args];
  return [SETPRIV, ['--pdeathsig', orphanedBy.slice('SIG'.length), '--', command, ...args]];
}

function endAll(): void {
  for (const [child, signal] of children) child.kill(signal);
}
