import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A program to be run as a process of its own. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Processor to pin it to; undefined leaves that to the system. */
  readonly cpu: number | undefined;
  /** File that its standard output goes to; otherwise that is searched for `ready` like standard error. */
  readonly outputFile?: string;
}

/** Told how to end a process as soon as there is one. */
export type OnStart = (stop: () => Promise<void>) => void;

/** A process that said it is ready. */
export interface Running {
  readonly pid: number;
  /** What `ready` matched. */
  readonly ready: RegExpExecArray;
}

const startLimitMs = 30_000;
const stopLimitMs = 5000;

/**
 * Starts a program and waits until it says so.
 *
 * @param ready what it says
 * @throws {Error} with the program's own words when it ends before, or takes over 30 seconds
 */
export async function startProgram(program: Program, ready: RegExp, onStart: OnStart): Promise<Running> {
  const output = program.outputFile === undefined ? 'pipe' : openSync(program.outputFile, 'w');
  const [command, args] = pinned(program);
  const child = spawn(command, args, { stdio: ['ignore', output, 'pipe'] });
  if (typeof output === 'number') closeSync(output);
  onStart(() => stop(child));
  return { pid: child.pid ?? 0, ready: await says(child, ready) };
}

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to standard output
 * @throws {Error} with its own words when it fails
 */
export async function runProgram(program: Program, onStart: OnStart): Promise<string> {
  const [command, args] = pinned(program);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onStart(() => stop(child));
  let words = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program.command} ended with ${code ?? signal}: ${complaint || words}`);
  return words;
}

/** Processor time that a process has used, in microseconds; undefined where the system does not tell (Linux does). */
export function cpuTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name, which may hold blanks; fields 14 and 15 in ticks of 10 ms (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    // Another system, or the process is gone: the figure is left out of the table.
    return undefined;
  }
}

function pinned({ command, args, cpu }: Program): [command: string, args: string[]] {
  return cpu === undefined ? [command, [...args]] : ['taskset', ['-c', String(cpu), command, ...args]];
}

function says(child: ChildProcess, ready: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let words = '';
    const fail = (why: string) => reject(new Error(`${child.spawnargs.join(' ')} ${why}: ${words.slice(-2000)}`));
    const timer = setTimeout(() => fail('was not ready in time'), startLimitMs);
    const listen = (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-65_536);
      const match = ready.exec(words);
      if (!match) return;
      clearTimeout(timer);
      resolve(match);
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    child.once('exit', () => {
      clearTimeout(timer);
      fail('ended');
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
  await gone;
  clearTimeout(timer);
}
