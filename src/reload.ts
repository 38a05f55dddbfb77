import type { Loaded } from './config/load.ts';
import { changedFiles, lookAgain, type SeenFiles } from './config/seen-files.ts';
import type { Millis } from './config/units.ts';

export interface ReloadNeeds {
  /** Reads the settings and all files that they name. */
  readonly load: () => Promise<Loaded>;
  /** Loads and takes over, or says why not. Never throws. */
  readonly takeOver: (load: () => Promise<Loaded>) => Promise<unknown>;
  /** Files as they were when the settings in force were read. */
  readonly files: SeenFiles;
  /** Between two looks at them; 0: none is taken. */
  readonly intervalMs: Millis;
}

export interface Reload {
  /** Reads and takes over now, whether or not anything changed; after what is under way. */
  now(): Promise<void>;
  /** Looks no more. @returns when nothing is being taken over */
  stop(): Promise<void>;
}

/** Files that belong together (two key files, certificate and key) are written one after the other: so long it is waited for more. */
const SETTLE_MS: Millis = 1000;

/** How long a stop waits for what is being taken over. */
const PATIENCE_MS: Millis = 2000;

/**
 * Takes new settings over when it is told to, and when a file that they depend on is not what it was.
 *
 * Files are read again and compared by their content: that holds on every file system, and when Kubernetes puts a link to
 * another folder in the place of all of them at once. Content that was refused is not tried again until it changes.
 */
export function createReload(needs: ReloadNeeds): Reload {
  const { load, takeOver } = needs;
  let { files, intervalMs } = needs;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let last: Promise<void> = Promise.resolve();
  let taking: Promise<unknown> = last;

  const loadNoting = async (): Promise<Loaded> => {
    const loaded = await load();
    files = loaded.files;
    if (loaded.kind === 'config') intervalMs = loaded.config.server.reloadIntervalMs;
    return loaded;
  };
  const reload = async (): Promise<void> => {
    if (isStopped) return;
    taking = takeOver(loadNoting);
    await taking;
  };
  const inTurn = (step: () => Promise<void>): Promise<void> => {
    last = last.then(step);
    return last;
  };
  const look = async (): Promise<void> => {
    if (isStopped) return;
    const seen = await lookAgain(files);
    if (changedFiles(files, seen).length === 0) return;
    await pause(Math.min(SETTLE_MS, intervalMs));
    // Still being written: the next look comes soon enough.
    if (changedFiles(seen, await lookAgain(files)).length > 0) return;
    await reload();
  };
  const schedule = (): void => {
    clearTimeout(timer);
    if (isStopped || intervalMs === 0) return;
    timer = setTimeout(() => void inTurn(look).finally(schedule), intervalMs);
    // Looking must not keep a process alive.
    timer.unref();
  };
  schedule();
  return {
    now: () => inTurn(reload).finally(schedule),
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      // A file may be a pipe that nobody writes to.
      return Promise.race([taking, pause(PATIENCE_MS)]).then(() => undefined);
    },
  };
}

function pause(ms: Millis): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
