import { spawn, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { refusalOfNode } from '../src/config/node-version.ts';
import { boundCommand } from './fakes/bound-child.ts';
import { findProgram, type ProgramName, programs } from './programs.ts';
import { provideSdk } from './sdk-environment.ts';

// `npm test [-- files and options of node --test]`: sees to the real programs, then runs every suite.

const root = join(import.meta.dirname, '..');
const refusal = refusalOfNode(process.versions.node);
if (refusal) fail(refusal);
provide();
provideClients();
runTests(process.argv.slice(2));

function provide(): void {
  let missing = missingPrograms();
  if (missing.length > 0 && canInstall()) {
    install(missing);
    missing = missingPrograms();
  }
  for (const name of missing) {
    const { what, package: packageName } = programs[name];
    const suites = suitesThatNeed(`requireProgram('${name}')`).join(', ') || 'none yet';
    say(`${what} is not installed (Debian: ${packageName}). Skipped: ${suites}`);
  }
  if (missing.length > 0 && process.env['CI'] === 'true') fail('CI=true: a missing program is a failure');
}

/** Flyte's SDKs: without PyPI their suites are skipped, wherever this runs; packages that no longer fit are a failure. */
function provideClients(): void {
  const provided = provideSdk(say);
  if (provided.kind === 'there') return;
  say(`Flyte's Python SDKs are missing, ${provided.why}. Skipped: ${suitesThatNeed('requireSdk()').join(', ')}`);
  if (provided.isOurs && process.env['CI'] === 'true') fail('CI=true: packages that cannot be installed are a failure');
}

function missingPrograms(): ProgramName[] {
  const names: readonly ProgramName[] = ['nginx', 'haproxy', 'chromium', 'grpc', 'curl', 'python', 'redis'];
  return names.filter((name) => findProgram(name) === undefined);
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}

function install(missing: readonly ProgramName[]): void {
  const packages = missing.map((name) => programs[name].package);
  say(`installing ${packages.join(' ')} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    spawnSync('/usr/bin/apt-get', ['-q', ...args], { stdio: 'inherit', env }).status === 0;
  // One by one: what cannot be had does not keep the others away.
  if (apt('update')) for (const one of packages) apt('install', '-y', '--no-install-recommends', one);
}

function suitesThatNeed(call: string): string[] {
  const files = globSync('test/**/*.test.ts', { cwd: root });
  return files.filter((file) => readFileSync(join(root, file), 'utf8').includes(call)).sort();
}

function runTests(argv: readonly string[]): void {
  const options = argv.filter((arg) => arg.startsWith('-'));
  const files = argv.filter((arg) => !arg.startsWith('-')).map((file) => relative(root, resolve(file)));
  const bound = join(import.meta.dirname, 'ends-with-parent.ts');
  const args = [
    '--import',
    'tsx',
    '--import',
    bound,
    '--test',
    // One more than there are cores: many suites wait for a moment of theirs to come.
    `--test-concurrency=${availableParallelism() + 1}`,
  ];
  const limits = ['--test-timeout=120000'];
  const all = files.length > 0 ? files : globSync('test/**/*.test.ts', { cwd: root }).sort();
  const tests = boundCommand(process.execPath, [...args, ...limits, ...options, ...all]);
  const child = spawn(...tests, { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => process.exit(code ?? 1));
}

function say(line: string): void {
  process.stdout.write(`# ${line}\n`);
}

function fail(line: string): never {
  process.stderr.write(`${line}\n`);
  process.exit(1);
}
