// `flytegate serve` with as many workers as its second argument says: until processes can share, the settings refuse that.
import { loadConfig } from '../../src/config/load.ts';
import { serve } from '../../src/serve.ts';

const [file = '', workers = ''] = process.argv.slice(2);
const service = serve({
  load: async () => {
    const loaded = await loadConfig(file);
    if (loaded.kind === 'mistakes') return loaded;
    const { config } = loaded;
    return { ...loaded, config: { ...config, server: { ...config.server, workers: Number(workers) } } };
  },
  refuse: () => process.exit(2),
  note: ({ url, admin }) => void process.stderr.write(`flytegate listens on ${url}, admin on ${admin}\n`),
});
process.once('SIGTERM', () => void service.then(({ stop }) => stop()).then(() => process.exit(0)));
await service;
