#!/usr/bin/env node
import type { Command } from 'commander';
// Whatever else is imported up here runs before an old Node.js could be refused.
import { refusalOfNode } from './config/node-version.ts';

/** What a command leaves running. */
interface Service {
  stop(): Promise<void>;
}

const refusal = refusalOfNode(process.versions.node);
if (refusal) {
  process.stderr.write(`${refusal}\n`);
  process.exit(1);
}
await run();

async function run(): Promise<void> {
  const { Command } = await import('commander');
  const version = await readVersion();
  const program = new Command('flytegate')
    .description('Auth gateway for Flyte control planes')
    .version(version, '--version');
  program.showHelpAfterError('(flytegate --help lists the commands)');
  addCommands(program, version);
  await program.parseAsync();
}

function addCommands(program: Command, version: string): void {
  program
    .command('serve')
    .description('run the gateway')
    .requiredOption('--config <file>', 'settings file (YAML)')
    .action(async (options: { config: string }) => keepRunning(() => serve(options.config, version)));
  program
    .command('demo')
    .description('run a gateway with an identity provider and a control plane of its own')
    .option('--port <number>', 'port of the gateway', '8080')
    .action(async (options: { port: string }) => keepRunning(() => demo(options.port)));
  program
    .command('check-config')
    .description('tell every mistake in a settings file and its secret files')
    .requiredOption('--config <file>', 'settings file (YAML)')
    .option('--print', 'show every setting in force, presets and defaults included')
    .action(async (options: { config: string; print?: true }) => checkConfig(options.config, options.print === true));
  program
    .command('keygen')
    .description(
      'make cookie keys; with --dir, put them first in the key files there, and make assertion_key where it is missing',
    )
    .option('--dir <folder>', 'folder of the key files')
    .option('--assertion', 'make a key for identity assertions only; with --dir, put it last in assertion_key')
    .action(async ({ dir, assertion }: { dir?: string; assertion?: boolean }) =>
      assertion ? keygenAssertion(dir) : keygen(dir),
    );
  program
    .command('doctor')
    .description(
      'look for what operators get wrong, in the settings, at the provider, in front and behind; changes nothing',
    )
    .requiredOption('--config <file>', 'settings file (YAML)')
    .option('--client-id <id>', 'a service app to try besides: that of propeller, the operator, the scheduler, CI')
    .option('--secret-file <file>', 'file that holds its secret')
    .action(async (options: { config: string; clientId?: string; secretFile?: string }) =>
      doctor(options).catch(exitWith),
    );
  addApiKeyCommands(program);
  addSessionCommands(program);
}

function addApiKeyCommands(program: Command): void {
  const apiKey = program.command('api-key').description("make and read Flyte's API keys");
  apiKey
    .command('create')
    .description('print the API key of a service app for this control plane; it holds the secret')
    .requiredOption('--config <file>', 'settings file (YAML)')
    .requiredOption('--client-id <id>', 'client id of the app at the provider')
    .requiredOption('--secret-file <file>', 'file that holds its secret, one line')
    .option('--org <name>', 'organization', '')
    .action(async (options: { config: string; clientId: string; secretFile: string; org: string }) => {
      const config = await loadOrExit(options.config);
      const { createApiKey } = await import('./api-key-command.ts');
      await createApiKey(config, { ...options, ...terminal() }).catch(exitWith);
    });
  apiKey
    .command('decode')
    .description('read an API key from standard input and tell what it is for, without its secret')
    .action(async () => {
      const { decodeApiKey } = await import('./api-key-command.ts');
      await decodeApiKey(process.stdin, terminal()).catch(exitWith);
    });
}

function addSessionCommands(program: Command): void {
  const sessions = program
    .command('sessions')
    .description('list and end sessions, through the admin port of a gateway');
  sessions
    .command('list')
    .description("print one person's sessions, or everybody's")
    .requiredOption('--config <file>', 'settings file (YAML) of the running gateway')
    .option('--subject <sub>', 'of one person')
    .option('--issuer <url>', "the person's provider, if it is another than people sign in with")
    .option('--json', 'a JSON object on each line')
    .action(async (options: { config: string; subject?: string; issuer?: string; json?: true }) => {
      const config = await loadOrExit(options.config);
      const { listSessions } = await import('./sessions-command.ts');
      await listSessions(config, { ...options, ...terminal() }).catch(exitWith);
    });
  sessions
    .command('revoke')
    .description('end a session, those of one session at the provider, or all of a person')
    .requiredOption('--config <file>', 'settings file (YAML) of the running gateway')
    .option('--session <handle>', 'as the list and the log call it')
    .option('--sid <sid>', "the provider's name of its session")
    .option('--subject <sub>', 'of a person')
    .option('--issuer <url>', 'the provider, if it is another than people sign in with')
    .action(async (options: { config: string; session?: string; sid?: string; subject?: string; issuer?: string }) => {
      const config = await loadOrExit(options.config);
      const { revokeSessions } = await import('./sessions-command.ts');
      await revokeSessions(config, { ...options, ...terminal() }).catch(exitWith);
    });
}

function terminal() {
  return {
    print: (text: string) => void process.stdout.write(text),
    note: (text: string) => void process.stderr.write(text),
  };
}

async function serve(file: string, version: string): Promise<Service> {
  const { loadConfig } = await import('./config/load.ts');
  const { describeMistakes } = await import('./config/mistake.ts');
  const { serve: start } = await import('./serve.ts');
  return start({
    load: () => loadConfig(file),
    refuse: ({ mistakes }) => {
      process.stderr.write(describeMistakes(file, mistakes));
      process.exit(2);
    },
    note: ({ url, admin }) => void process.stderr.write(`flytegate ${version} listens on ${url}, admin on ${admin}\n`),
  });
}

async function demo(text: string): Promise<Service> {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new Error('--port is a number from 0 to 65535');
  const { runDemo } = await import('./demo/demo.ts');
  return runDemo({ port });
}

/** @param print whether the settings in force go to standard output, and the summary to standard error */
async function checkConfig(file: string, print: boolean): Promise<void> {
  const { config, effective } = await loadedOrExit(file);
  const { upstreams, auth } = config;
  const routes = config.routes.filter(({ access }) => access !== 'nobody');
  const names = Object.keys(upstreams).join(', ');
  const isPublic = routes.filter(({ access }) => access === 'public').length;
  if (print) {
    const { stringify } = await import('yaml');
    process.stdout.write(stringify(effective, { lineWidth: 0 }));
  }
  const summary = print ? process.stderr : process.stdout;
  summary.write(
    `ok: ${routes.length} ${routes.length === 1 ? 'route' : 'routes'} (${isPublic} public) to ${names}; sign-in at ${auth.userAuth.openId.baseUrl}\n`,
  );
}

/** Exit 1 when something is wrong for certain. */
async function doctor(options: { config: string; clientId?: string; secretFile?: string }): Promise<void> {
  const { config, clientId, secretFile } = options;
  if ((clientId === undefined) !== (secretFile === undefined))
    throw new Error('--client-id and --secret-file belong together');
  const { loadConfig } = await import('./config/load.ts');
  const { examine } = await import('./doctor/doctor.ts');
  const { isHealthy, writeFindings } = await import('./doctor/finding.ts');
  const app = clientId === undefined || secretFile === undefined ? {} : { app: { clientId, secretFile } };
  const findings = await examine(await loadConfig(config), { now: Date.now, ...app });
  process.stdout.write(writeFindings(findings));
  process.exitCode = isHealthy(findings) ? 0 : 1;
}

async function keygen(dir: string | undefined): Promise<void> {
  const { addKeyPair, makeKeyPair } = await import('./config/keygen.ts');
  const pair = makeKeyPair();
  if (dir === undefined) {
    for (const [name, key] of Object.entries(pair)) process.stdout.write(`${name}: ${key}\n`);
    process.stderr.write(
      'Put each key alone in a file of that name in secretsDir, or let --dir do it.\nTo rotate, put it above the line that is there: the first seals, all open.\n',
    );
    return;
  }
  try {
    const { addFirstAssertionKey } = await import('./config/assertion-keygen.ts');
    const count = await addKeyPair(dir, pair);
    process.stdout.write(
      `${dir}: cookie_hash_key and cookie_block_key hold ${count} ${count === 1 ? 'key' : 'keys'} now; the first seals, all open\n`,
    );
    if (await addFirstAssertionKey(dir)) process.stdout.write(`${dir}: assertion_key holds 1 key now\n`);
  } catch (cause) {
    exitWith(cause);
  }
}

async function keygenAssertion(dir: string | undefined): Promise<void> {
  const { addAssertionKey, makeAssertionKey } = await import('./config/assertion-keygen.ts');
  const pem = makeAssertionKey();
  if (dir === undefined) {
    process.stdout.write(pem);
    process.stderr.write(
      'Put it in the file assertion_key in secretsDir, or let --dir do it.\nTo rotate, put it below the one that is there, and five minutes after every process has it put it first.\n',
    );
    return;
  }
  try {
    const count = await addAssertionKey(dir, pem);
    process.stdout.write(
      `${dir}: assertion_key holds ${count} ${count === 1 ? 'key' : 'keys'} now; the first signs, all are published\n`,
    );
  } catch (cause) {
    exitWith(cause);
  }
}

async function loadOrExit(file: string): Promise<import('./config/config.ts').Config> {
  return (await loadedOrExit(file)).config;
}

async function loadedOrExit(file: string): Promise<Extract<import('./config/load.ts').Loaded, { kind: 'config' }>> {
  const { loadConfig } = await import('./config/load.ts');
  const loaded = await loadConfig(file);
  if (loaded.kind === 'config') return loaded;
  const { describeMistakes } = await import('./config/mistake.ts');
  process.stderr.write(describeMistakes(file, loaded.mistakes));
  process.exit(2);
}

/** Starts a service and ends it at the first signal: exit 0 once it stopped, 1 at a second signal or a mistake of ours. */
async function keepRunning(start: () => Promise<Service>): Promise<void> {
  await exitOnBugs();
  let service: Service | undefined;
  let isStopping = false;
  const onSignal = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    // Nothing was accepted yet while there is no service.
    Promise.resolve(service?.stop()).then(() => process.exit(0), exitWith);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  try {
    service = await start();
  } catch (cause) {
    exitWith(cause);
  }
}

async function exitOnBugs(): Promise<void> {
  const { createLog } = await import('./observe/log.ts');
  const { bugFacts } = await import('./observe/facts.ts');
  const exit = (cause: unknown) => {
    createLog({ level: 'error' }).log.error('internal', bugFacts(cause));
    process.exit(1);
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}

/** One sentence to standard error, exit 1. */
function exitWith(cause: unknown): never {
  process.stderr.write(`flytegate: ${explain(cause)}\n`);
  process.exit(1);
}

/** What the system's codes mean to the person at the terminal; else the error's own message with that of its cause. */
function explain(cause: unknown): string {
  const address = wordOf(cause, 'address') ?? '';
  const port = wordOf(cause, 'port');
  const where = port === undefined ? address : `${address}:${port}`;
  switch (wordOf(cause, 'code')) {
    case 'EADDRINUSE':
      return `another program listens on ${where} already: stop it, or choose another port`;
    case 'EADDRNOTAVAIL':
      return `this machine has no address ${address} to listen on`;
    case 'EACCES':
      return port === undefined
        ? `${wordOf(cause, 'path') ?? 'a file'} may not be read or written`
        : `no permission to listen on ${where}: ports under 1024 need a privilege`;
    default:
      return describe(cause);
  }
}

function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const root = cause.cause instanceof Error ? ` (${cause.cause.message})` : '';
  return `${cause.message}${root}`.replaceAll(/\s+/g, ' ');
}

/** A property of an error of the system's, as text. */
function wordOf(cause: unknown, name: 'code' | 'address' | 'port' | 'path'): string | undefined {
  const value: unknown = cause instanceof Error ? Reflect.get(cause, name) : undefined;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

async function readVersion(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  const content: unknown = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const isKnown =
    typeof content === 'object' && content !== null && 'version' in content && typeof content.version === 'string';
  return isKnown ? String(content.version) : 'unknown';
}
