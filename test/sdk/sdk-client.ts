import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { endLater } from '../flows/rig.ts';
import { requireSdk } from '../sdk-environment.ts';

const CALL_MS = 60_000;

/** One of Flyte's SDKs, in a Python process of its own with a home folder of its own. */
export interface SdkClient {
  /** Makes a call and waits until it is over, well or badly. */
  call(name: string, metadata?: readonly (readonly [string, string])[]): Promise<Outcome>;
  /** The address that the SDK opened a browser at, or asks the person to open; waits for it. */
  address(): Promise<string>;
}

/** What a call came to: its result, or the exception's class with Connect's code where it has one. */
export type Outcome =
  | { readonly result: unknown }
  | { readonly error: string; readonly code: string | null; readonly message: string };

export interface SdkOptions {
  /** `flyte2_client.py` or `flyte1_client.py`. */
  readonly program: `${string}.py`;
  /** The SDK's own settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where it keeps credentials; a new folder unless given. */
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts an SDK; it ends with the test file. */
export async function startSdk(options: SdkOptions): Promise<SdkClient> {
  const home = options.home ?? (await makeHome());
  const child = spawn(requireSdk().path, ['-u', join(import.meta.dirname, options.program)], {
    cwd: home,
    env: { ...clientEnv(home), ...options.env },
  });
  endLater(async () => {
    child.stdin.end();
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const said = listen(child);
  const write = (fact: unknown) => child.stdin.write(`${JSON.stringify(fact)}\n`);
  write(options.settings);
  return {
    call: async (name, metadata) => {
      write({ call: name, ...(metadata && { metadata }) });
      const { line } = await said((one) => /^\{"(result|error)"/.test(one));
      return JSON.parse(line);
    },
    address: async () => {
      const { line } = await said((one) => /^\{"(open|error)"|navigate in a browser/.test(one));
      if (line.startsWith('{"error"')) throw new Error(`no address: ${line}`);
      return line.startsWith('{') ? String(JSON.parse(line).open) : (/https?:\/\/\S+/.exec(line)?.[0] ?? '');
    },
  };
}

/** A home folder; gone with the test file. */
export async function makeHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'flytegate-sdk-home-'));
  endLater(() => rm(home, { recursive: true, force: true }));
  return home;
}

/** The file where Flyte 2's SDK keeps credentials in a home folder, as text; empty when there is none. */
export async function keptCredentials(home: string): Promise<string> {
  try {
    return await readFile(join(home, '.flyte/keyring.cfg'), 'utf8');
  } catch {
    // Nothing was ever kept.
    return '';
  }
}

/** What an SDK is started with instead of this machine's own surroundings. */
export function clientEnv(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    // The SDK's own keyring in a file, which it takes by itself in notebooks: nobody's real one is touched.
    PYTHON_KEYRING_BACKEND: 'flyte._keyring.file.SimplePlainTextKeyring',
    // One line for the address that a person is to open.
    COLUMNS: '1000',
    DO_NOT_TRACK: '1',
    GRPC_ENABLE_FORK_SUPPORT: '0',
  };
}

type Said = (isIt: (line: string) => boolean) => Promise<{ readonly line: string }>;

function listen(child: ChildProcessWithoutNullStreams): Said {
  const lines: string[] = [];
  const looks = new Set<() => void>();
  let errors = '';
  let isOver = false;
  const lookAgain = () => {
    for (const look of [...looks]) look();
  };
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-8000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    lookAgain();
  });
  child.once('exit', () => {
    isOver = true;
    lookAgain();
  });
  // Written to after it ended: the wait for its answer says so.
  child.stdin.on('error', () => undefined);
  return (isIt) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ line: string }>();
    const look = () => {
      const at = lines.findIndex(isIt);
      const [line] = at < 0 ? [] : lines.splice(at, 1);
      if (line !== undefined) resolve({ line });
      else if (isOver) reject(new Error(`the SDK ended: ${lines.join('\n')}\n${errors}`));
    };
    const timer = setTimeout(() => reject(new Error(`the SDK said nothing: ${lines.join('\n')}\n${errors}`)), CALL_MS);
    looks.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      looks.delete(look);
    });
  };
}
