import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addKeyPair, makeKeyPair } from '../config/keygen.ts';
import { loadConfig } from '../config/load.ts';
import { describeMistakes } from '../config/mistake.ts';
import { Failure } from '../failure.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import type { LogOutput } from '../observe/log.ts';
import { createControlPlane } from './control-plane.ts';
import { createDemoProvider, type DemoProvider } from './provider.ts';
import { fillSettings } from './settings.ts';
import { welcome } from './welcome.ts';

export interface DemoOptions {
  /** Of the gateway, on 127.0.0.1; 0 asks the system for a free one. */
  readonly port: number;
  /** Where the welcome goes: standard output unless said otherwise. */
  readonly print?: (text: string) => void;
  /** Where the gateway's log lines go: standard output unless said otherwise. */
  readonly output?: LogOutput;
  /** Where the temporary folder is made: the system's place unless said otherwise. */
  readonly tmp?: string;
}

/** What runs, and all that is needed to try it. */
export interface Demo {
  /** `http://localhost:<port>` */
  readonly url: string;
  readonly admin: string;
  readonly issuer: string;
  readonly provider: Pick<DemoProvider, 'accounts' | 'clients'>;
  /** Stops everything and removes the temporary folder. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway with an OpenID provider and a control plane of its own, and says how to try it. Nothing stays on disk.
 *
 * @throws {Failure} `config_invalid` when `config/demo.yaml` was edited into something wrong; the system's error when the
 * port is taken
 */
export async function runDemo(options: DemoOptions): Promise<Demo> {
  const undo: (() => Promise<void>)[] = [];
  // In the opposite order: the gateway goes first, what it speaks to after it.
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const demo = await startAll(options, undo);
    (options.print ?? ((text) => process.stdout.write(text)))(welcome(demo));
    return { ...demo, stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

async function startAll(options: DemoOptions, undo: (() => Promise<void>)[]): Promise<Omit<Demo, 'stop'>> {
  const port = options.port === 0 ? await freePort() : options.port;
  const url = `http://localhost:${port}`;
  const publicUrls = [url, `http://127.0.0.1:${port}`];
  const provider = createDemoProvider({ port: 0, publicUrls });
  const plane = createControlPlane({ port: 0 });
  undo.push(provider.stop, plane.stop);
  const [issuer, upstream] = await Promise.all([provider.start(), plane.start()]);
  const folder = await mkdtemp(join(options.tmp ?? tmpdir(), 'flytegate-demo-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  await addKeyPair(folder, makeKeyPair());
  await writeFile(join(folder, 'oidc_client_secret'), provider.clients.web.secret, { mode: 0o600 });
  const template = await readFile(new URL('../../config/demo.yaml', import.meta.url), 'utf8');
  const settings = fillSettings(template, [
    [['server', 'publicUrl'], url],
    [['server', 'listen'], `127.0.0.1:${port}`],
    [['server', 'admin'], '127.0.0.1:0'],
    [['secretsDir'], folder],
    [['auth', 'authorizedUris'], publicUrls.slice(1)],
    [['auth', 'userAuth', 'openId', 'baseUrl'], issuer],
    [['upstreams', 'control-plane', 'url'], upstream],
  ]);
  const file = join(folder, 'demo.yaml');
  await writeFile(file, settings, { mode: 0o600 });
  const gateway = await buildGateway(file, options.output);
  // Before it starts: one of its two ports may open and the other not.
  undo.push(() => gateway.stop());
  const { admin } = await gateway.start();
  return { url, admin, issuer, provider };
}

async function buildGateway(file: string, output: LogOutput | undefined): Promise<Gateway> {
  const loaded = await loadConfig(file);
  if (loaded.kind === 'config') return createGateway(loaded.config, output ? { output } : {});
  throw new Failure('config_invalid', describeMistakes('config/demo.yaml', loaded.mistakes));
}

/** The gateway's own address stands in its settings and at the provider, so it is chosen before it is opened. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const at = probe.address();
      const port = typeof at === 'object' && at ? at.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
