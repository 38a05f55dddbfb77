import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { spawnBound } from '../fakes/bound-child.ts';
import { ask } from '../flows/ask.ts';
import type { Ledger } from './ledger.ts';

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
/** Whatever is down, a gateway listens by then. Generous: starting costs a second of a core, and the cores are busy. */
const START_MS = 30_000;
/** From SIGTERM to the end: `server.drain` of these suites, the last words, and a busy machine. */
const END_MS = 15_000;
/** Events that are mistakes of ours; `internal` is one by its code. */
const mistakes = ['request.crashed', 'listener.failed', 'revocations.failed'];

/** One gateway, as a process of its own. */
export interface Member {
  readonly name: string;
  readonly url: string;
  readonly admin: string;
  readonly pid: number;
  readonly startedAt: number;
  hangUp(): void;
  /** @param how at once, or as an orchestrator does. Resolves when it is gone */
  end(how: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Open descriptors; undefined where the system does not say. */
  descriptors(): Promise<number | undefined>;
  /** A number of its metrics page. */
  metric(name: string): Promise<number | undefined>;
  /** Digest of the settings in force. */
  digest(): Promise<string | undefined>;
}

/** @param needs.logFile what it logs is added to this file, and looked through for mistakes of ours */
export async function startMember(needs: {
  name: string;
  settings: string;
  logFile: string;
  ledger: Ledger;
}): Promise<Member> {
  const { name, ledger } = needs;
  const args = ['--import', 'tsx', cli, 'serve', '--config', needs.settings];
  const child = spawnBound(process.execPath, args);
  const ended = once(child, 'close');
  readLog(child, needs);
  const startedAt = Date.now();
  const { url, admin } = await untilListening(child, ended);
  let isTold = false;
  void ended.then(([code, signal]) => {
    if (!isTold) ledger.violate('a gateway ends only when it is told to, and then in time', { name, code, signal });
  });
  const page = async () => (await ask(`${admin}/metrics`)).text;
  return {
    name,
    url,
    admin,
    pid: child.pid ?? 0,
    startedAt,
    hangUp: () => void child.kill('SIGHUP'),
    end: async (how) => {
      isTold = true;
      child.kill(how);
      const late = setTimeout(() => {
        ledger.violate('a gateway ends only when it is told to, and then in time', { name, afterMs: END_MS });
        child.kill('SIGKILL');
      }, END_MS);
      const [code] = await ended;
      clearTimeout(late);
      if (how === 'SIGTERM' && code !== 0)
        ledger.violate('a gateway ends only when it is told to, and then in time', { name, code });
    },
    descriptors: async () => (await readdir(`/proc/${child.pid}/fd`).catch(() => undefined))?.length,
    metric: async (metric) => {
      const line = (await page()).split('\n').find((one) => one.startsWith(metric));
      return line === undefined ? undefined : Number(line.split(' ').at(-1));
    },
    digest: async () => /flytegate_config_info\{digest="([^"]+)"\}/.exec(await page())?.[1],
  };
}

async function untilListening(child: ChildProcess, ended: Promise<unknown>): Promise<{ url: string; admin: string }> {
  let said = '';
  const { promise, resolve, reject } = Promise.withResolvers<{ url: string; admin: string }>();
  child.stderr?.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-10_000);
    const [, url, admin] = /listens on (\S+), admin on (\S+)\n/.exec(said) ?? [];
    if (url !== undefined && admin !== undefined) resolve({ url, admin });
  });
  const late = setTimeout(() => {
    reject(new Error(`does not listen after ${START_MS} ms: ${said}`));
    child.kill('SIGKILL');
  }, START_MS);
  void ended.then(() => reject(new Error(`ended: ${said}`)));
  return promise.finally(() => clearTimeout(late));
}

function readLog(child: ChildProcess, { name, logFile, ledger }: { name: string; logFile: string; ledger: Ledger }) {
  const file = createWriteStream(logFile, { flags: 'a' });
  child.once('close', () => file.end());
  let rest = '';
  child.stdout?.on('data', (data: Buffer) => {
    file.write(data);
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.includes('"code":"internal"') && !mistakes.some((event) => line.includes(`"${event}"`))) continue;
      ledger.violate('no mistake of ours shows', { name, line: line.slice(0, 1000) });
    }
  });
}
