// `flytegate serve` with two workers. The second one looks for a relative CA file in a folder that has none, and kills itself
// when the others go over to new settings, if the folder of the settings has a file `die`.
import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { serve } from '../../src/serve.ts';
import { isMessage, type ToWorker } from '../../src/workers/messages.ts';

const [file = ''] = process.argv.slice(2);
const folder = dirname(file);
process.chdir(cluster.worker?.id === 2 ? join(folder, 'secrets') : folder);
if (cluster.worker?.id === 2)
  process.on('message', (message: unknown) => {
    if (isMessage<ToWorker>(message) && message.kind === 'commit' && existsSync(join(folder, 'die')))
      process.kill(process.pid, 'SIGKILL');
  });

const service = serve({
  load: async () => {
    const loaded = await loadConfig(file);
    if (loaded.kind === 'mistakes') return loaded;
    const { config } = loaded;
    const { auth } = config;
    const { caFile } = auth;
    const told: Config['auth'] = { ...auth, ...(caFile !== undefined && { caFile: relative(folder, caFile) }) };
    return { ...loaded, config: { ...config, auth: told, server: { ...config.server, workers: 2 } } };
  },
  refuse: () => process.exit(2),
  note: ({ url, admin }) => void process.stderr.write(`flytegate listens on ${url}, admin on ${admin}\n`),
});
process.once('SIGTERM', () => void service.then(({ stop }) => stop()).then(() => process.exit(0)));
await service;
