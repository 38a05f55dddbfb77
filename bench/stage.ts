import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Options } from './options.ts';
import { type Program, type Running, runProgram, startProgram } from './process.ts';
import { findTool, type Tools } from './tools.ts';

/** What every measure works with: a folder, the build, the tools, and processes that end with it. */
export interface Stage {
  readonly options: Options;
  readonly tools: Tools;
  /** Temporary; gone with the stage. */
  readonly folder: string;
  /** Holds `dist`. */
  readonly build: string;
  /** Whether processes are pinned to processors. */
  readonly isPinned: boolean;
  /** Starts a server and waits for its word. @param side `server` for what is measured, `client` for everything else */
  start(side: 'server' | 'client', program: Omit<Program, 'cpu'>, ready: RegExp): Promise<Server>;
  /** Runs a program of the client's side to its end. @returns its standard output */
  run(program: Omit<Program, 'cpu'>): Promise<string>;
  /** Does something, then ends the servers that it started. */
  during<T>(act: () => Promise<T>): Promise<T>;
  /** Ends every process that still runs and removes the folder. */
  close(): Promise<void>;
}

/** A process that can be ended before the stage is. */
export interface Server extends Running {
  stop(): Promise<void>;
}

export const root = join(import.meta.dirname, '..');

/** @throws {Error} when the sources do not build */
export async function openStage(options: Options): Promise<Stage> {
  const tools = {
    ...{ wrk: findTool('wrk'), h2load: findTool('h2load') },
    ...{ nginx: findTool('nginx'), oauth2Proxy: findTool('oauth2-proxy') },
  };
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-bench-'));
  const running = new Set<() => Promise<void>>();
  const isPinned = findTool('taskset') !== undefined && availableParallelism() > 1;
  const cpuOf = (side: 'server' | 'client') => {
    if (!isPinned) return undefined;
    return side === 'server' ? options.serverCpu : options.clientCpu;
  };
  const end = async (stops: readonly (() => Promise<void>)[]) => {
    await Promise.all(stops.map((stop) => stop()));
    for (const stop of stops) running.delete(stop);
  };
  const close = async () => {
    await end([...running]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const build = options.build === undefined ? await buildInto(folder) : resolve(options.build);
    return {
      ...{ options, tools, folder, build, isPinned, close },
      start: async (side, program, ready) => {
        const started: (() => Promise<void>)[] = [];
        const onStart = (stop: () => Promise<void>) => {
          started.push(stop);
          running.add(stop);
        };
        const server = await startProgram({ ...program, cpu: cpuOf(side) }, ready, onStart);
        return { ...server, stop: () => end(started) };
      },
      during: async (act) => {
        const before = new Set(running);
        try {
          return await act();
        } finally {
          await end([...running].filter((stop) => !before.has(stop)));
        }
      },
      run: async (program) => {
        const started: (() => Promise<void>)[] = [];
        const onStart = (stop: () => Promise<void>) => {
          started.push(stop);
          running.add(stop);
        };
        try {
          return await runProgram({ ...program, cpu: cpuOf('client') }, onStart);
        } finally {
          await end(started);
        }
      },
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** Compiles the sources, with what they look for beside them: neither a loader nor an older `dist` is measured. */
async function buildInto(folder: string): Promise<string> {
  const build = join(folder, 'build');
  await mkdir(build);
  for (const name of ['package.json', 'config', 'node_modules']) await symlink(join(root, name), join(build, name));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const args = [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(build, 'dist')];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the sources do not build:\n${stdout}`);
  return build;
}
