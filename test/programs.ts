import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Real programs that some suites try the gateway with. */
export type ProgramName = 'nginx' | 'haproxy' | 'chromium' | 'grpc' | 'curl' | 'python' | 'redis';

interface Program {
  readonly what: string;
  /** Names of the executable, the best first. */
  readonly names: readonly string[];
  /** Debian's package. */
  readonly package: string;
  /** Arguments with which the executable has to succeed, when being there is not enough. */
  readonly check?: readonly string[];
}

export const programs: Readonly<Record<ProgramName, Program>> = {
  nginx: { what: 'nginx', names: ['nginx'], package: 'nginx' },
  haproxy: { what: 'HAProxy', names: ['haproxy'], package: 'haproxy' },
  chromium: { what: 'Chromium', names: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' },
  // Debian's own Python first: it is the one that the package belongs to.
  grpc: {
    what: "gRPC's C core, through Python",
    names: ['/usr/bin/python3', 'python3'],
    package: 'python3-grpcio',
    check: ['-c', 'import importlib.util, sys; sys.exit(importlib.util.find_spec("grpc") is None)'],
  },
  curl: { what: 'curl', names: ['curl'], package: 'curl' },
  python: {
    what: 'Python 3.10 or newer with venv',
    names: ['python3', '/usr/bin/python3'],
    package: 'python3-venv',
    check: ['-c', 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))'],
  },
  redis: { what: 'Redis', names: ['redis-server', 'valkey-server'], package: 'redis-server' },
};

/** The path of a program's executable (for grpc: of the Python that has it); undefined when it is not installed. */
export function findProgram(name: ProgramName): string | undefined {
  const { names, check } = programs[name];
  // System programs like nginx are often out of an ordinary user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const candidates = names.flatMap((one) => (one.startsWith('/') ? [one] : folders.map((folder) => join(folder, one))));
  return candidates.find((path) => isExecutable(path) && (!check || spawnSync(path, check).status === 0));
}

/**
 * What a suite that needs a real program begins with: `describe('…', { skip: nginx.skip }, …)`.
 *
 * @throws with `CI=true` when the program is missing: nothing is skipped there
 */
export function requireProgram(name: ProgramName): { readonly path: string; readonly skip: string | false } {
  const path = findProgram(name);
  if (path !== undefined) return { path, skip: false };
  const { what, package: packageName } = programs[name];
  const skip = `${what} is not installed (Debian: apt-get install ${packageName})`;
  if (process.env['CI'] === 'true') throw new Error(skip);
  return { path: '', skip };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run: either way not found.
    return false;
  }
}
