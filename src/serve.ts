import cluster from 'node:cluster';
import type { Loaded } from './config/load.ts';
import { createGateway } from './gateway.ts';
import { createReload } from './reload.ts';
import { createPrimary } from './workers/primary.ts';
import { runWorker } from './workers/worker.ts';

export interface ServeNeeds {
  /** Reads the settings and all files that they name. */
  readonly load: () => Promise<Loaded>;
  /** Told of settings that have mistakes: there is nothing to serve by. */
  readonly refuse: (loaded: Extract<Loaded, { kind: 'mistakes' }>) => never;
  /** Told where it listens. */
  readonly note: (at: { readonly url: string; readonly admin: string }) => void;
}

/**
 * Serves by settings in files, in this process or in as many as the settings say, and takes new ones over by SIGHUP and by
 * a change of the files. Called again in each of these processes.
 */
export async function serve(needs: ServeNeeds): Promise<{ stop(): Promise<void> }> {
  let reload: ReturnType<typeof createReload> | undefined;
  // From the first moment, as it would end the process; what changed before somebody serves is seen by the first look. A worker
  // hears it from the terminal only: the primary process tells what to do.
  process.on('SIGHUP', () => void reload?.now());
  if (cluster.isWorker) return runWorker();
  const loaded = await needs.load();
  if (loaded.kind === 'mistakes') return needs.refuse(loaded);
  const { config, files } = loaded;
  const served = config.server.workers === 1 ? await createGateway(config) : createPrimary(config);
  needs.note(await served.start());
  const { reloadIntervalMs: intervalMs } = config.server;
  const made = createReload({ load: needs.load, takeOver: served.reload, files, intervalMs });
  reload = made;
  return { stop: () => made.stop().then(served.stop) };
}
