import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './programs.ts';

const requirements = readFileSync(join(import.meta.dirname, 'sdk/requirements.txt'), 'utf8');
const WHAT = "Flyte's Python SDKs, from PyPI";

/** What became of it: there, or why it cannot be; `isOurs` when PyPI is there all the same, and the fault is with the versions. */
export type Provided =
  | { readonly kind: 'there' }
  | { readonly kind: 'missing'; readonly why: string; readonly isOurs: boolean };

/**
 * Sees to the virtual environment with Flyte's SDKs: in the system's temporary folder, kept from run to run until Python or the
 * list of packages changes. Takes a minute the first time.
 *
 * @param say told before anything takes long
 */
export function provideSdk(say: (line: string) => void): Provided {
  const python = findProgram('python');
  if (python === undefined) return { kind: 'missing', why: 'there is no Python with venv', isOurs: false };
  const folder = folderFor(python);
  if (isFinished(folder)) return { kind: 'there' };
  say(`installing ${WHAT} into ${folder}`);
  const draft = `${folder}.${process.pid}`;
  try {
    return install(python, draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/**
 * What a suite that needs Flyte's SDKs begins with: `describe('…', { skip: sdk.skip }, …)`. `path` is the Python that has them.
 */
export function requireSdk(): { readonly path: string; readonly skip: string | false } {
  const python = findProgram('python');
  const folder = python === undefined ? undefined : folderFor(python);
  if (folder !== undefined && isFinished(folder)) return { path: join(folder, 'bin/python'), skip: false };
  return { path: '', skip: `${WHAT}, are not installed: npm test does it where PyPI can be reached` };
}

/** Its name says what is in it, so that nothing old is used; one for each user, who alone may write there. */
function folderFor(python: string): string {
  const version = spawnSync(python, ['--version'], { encoding: 'utf8' }).stdout;
  const key = createHash('sha256').update(`${python}\n${version}\n${requirements}`).digest('hex').slice(0, 16);
  return join(tmpdir(), `flytegate-sdk-${userInfo().username}-${key}`);
}

/** Whoever else may write in the temporary folder could have put a Python of their own there. */
function isFinished(folder: string): boolean {
  if (!existsSync(join(folder, 'finished'))) return false;
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}

function install(python: string, draft: string, folder: string): Provided {
  const run = (path: string, ...args: string[]) =>
    spawnSync(path, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: 600_000 }).status === 0;
  mkdirSync(draft, { mode: 0o700 });
  if (!run(python, '-m', 'venv', draft)) return { kind: 'missing', why: `${python} -m venv failed`, isOurs: true };
  const pip = [join(draft, 'bin/python'), '-m', 'pip', '--disable-pip-version-check'] as const;
  writeFileSync(join(draft, 'requirements.txt'), requirements);
  if (
    !run(
      ...pip,
      'install',
      '--quiet',
      '--retries',
      '2',
      '--only-binary',
      ':all:',
      '-r',
      join(draft, 'requirements.txt'),
    )
  ) {
    const isReached = run(...pip, 'download', '--quiet', '--retries', '2', '--no-deps', '--dest', draft, 'flyte');
    return { kind: 'missing', why: isReached ? 'pip failed' : 'PyPI cannot be reached', isOurs: isReached };
  }
  writeFileSync(join(draft, 'finished'), '');
  // Whatever stands there is unfinished, or another run's that was quicker and is as good.
  if (!isFinished(folder)) rmSync(folder, { recursive: true, force: true });
  if (!existsSync(folder)) renameSync(draft, folder);
  return { kind: 'there' };
}
