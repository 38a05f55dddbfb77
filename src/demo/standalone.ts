import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addKeyPair, makeKeyPair } from '../config/keygen.ts';
import { createControlPlane } from './control-plane.ts';
import { createDemoProvider } from './provider.ts';

// The pieces of the demo as processes of their own, for docker-compose.yml:
//   standalone provider --port 4000 [--host A] [--issuer URL] --public-url URL … [--audience URL] [--secrets DIR]
//   standalone control-plane --port 8090 [--host A]
//   standalone secrets --secrets DIR      makes what is missing there: cookie keys, the apps' secrets

const SECRETS = { web: 'oidc_client_secret', service: 'service_client_secret' } as const;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    issuer: { type: 'string' },
    'public-url': { type: 'string', multiple: true, default: [] },
    audience: { type: 'string' },
    secrets: { type: 'string' },
  },
});
await run(positionals[0]);

async function run(piece: string | undefined): Promise<void> {
  if (piece === 'secrets' && values.secrets) await makeSecrets(values.secrets);
  else if (piece === 'control-plane')
    await keepRunning(createControlPlane({ port: Number(values.port), host: values.host }));
  else if (piece === 'provider' && values['public-url'].length > 0) await runProvider();
  else throw new Error('standalone provider --public-url URL | control-plane | secrets --secrets DIR');
}

async function runProvider(): Promise<void> {
  const { issuer, audience, secrets } = values;
  const provider = createDemoProvider({
    port: Number(values.port),
    host: values.host,
    publicUrls: values['public-url'],
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
    ...(secrets === undefined ? {} : { secrets: await readSecrets(secrets) }),
  });
  await keepRunning(provider);
  for (const { sub, password } of provider.accounts) process.stdout.write(`sign in as ${sub} / ${password}\n`);
}

async function keepRunning(piece: { start(): Promise<string>; stop(): Promise<void> }): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void piece.stop().then(() => process.exit(0)));
  process.stdout.write(`listens on ${await piece.start()}\n`);
}

async function readSecrets(folder: string): Promise<{ web: string; service: string }> {
  const read = async (name: string) => (await readFile(join(folder, name), 'utf8')).trim();
  return { web: await read(SECRETS.web), service: await read(SECRETS.service) };
}

async function makeSecrets(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!(await exists(join(folder, 'cookie_hash_key')))) await addKeyPair(folder, makeKeyPair());
  for (const name of Object.values(SECRETS)) {
    const file = join(folder, name);
    if (!(await exists(file))) await writeFile(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await readFile(file)).length > 0;
  } catch (cause) {
    // Missing is the answer; anything else would keep the gateway from reading it, too.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return false;
    throw cause;
  }
}
