import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { checks } from '../../src/doctor/finding.ts';
import { makeSettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { type Block, blocksOf, readPage } from './blocks.ts';

const page = 'docs/flyte.md';
let text: string;
let blocks: readonly Block[];
before(async () => {
  [text, blocks] = [await readPage(page), await blocksOf(page)];
});

const yamlBlocks = () => blocks.filter(({ language }) => language === 'yaml');
const settingsBlocks = () => yamlBlocks().filter((block) => block.text.startsWith('# flytegate.yaml'));

describe('docs/flyte.md', () => {
  it('shows settings that check-config finds no mistake in, as they are and joined', async () => {
    const [first, ...rest] = settingsBlocks().map((block) => parse(block.text));
    assert.equal(rest.length, 2);
    const { preset: _preset, upstreams: _upstreams, ...common } = first;
    for (const settings of [first, ...rest.map((more) => ({ ...common, ...more }))]) {
      const files = { ...secretFiles, 'secrets/assertion_key': makeAssertionKey() };
      const { file, remove } = await makeSettingsFolder(stringify({ ...settings, secretsDir: 'secrets' }), files);
      const loaded = await loadConfig(file);
      await remove();
      assert.equal(loaded.kind, 'config', loaded.kind === 'mistakes' ? describeMistakes('', loaded.mistakes) : '');
    }
  });

  it('shows additions to them that check-config finds no mistake in', async () => {
    const [first] = settingsBlocks().map((block) => parse(block.text));
    const additions = yamlBlocks().filter((block) => block.text.startsWith('# added to flytegate.yaml'));
    assert.equal(additions.length, 1);
    for (const addition of additions.map((block) => parse(block.text))) {
      const auth = { ...first.auth, userAuth: { ...first.auth.userAuth, ...addition.auth.userAuth } };
      const upstreams = { ...first.upstreams, ...addition.upstreams };
      const settings = { ...first, ...addition, auth, upstreams, secretsDir: 'secrets' };
      const files = { ...secretFiles, 'secrets/assertion_key': makeAssertionKey() };
      const { file, remove } = await makeSettingsFolder(stringify(settings), files);
      const loaded = await loadConfig(file);
      await remove();
      assert.equal(loaded.kind, 'config', loaded.kind === 'mistakes' ? describeMistakes('', loaded.mistakes) : '');
    }
  });

  it('has five lines for Flyte 2, no more', () => {
    const [first] = settingsBlocks();
    const lines = first?.text.split('\n').filter((line) => line !== '') ?? [];
    assert.ok(lines.length - lines.findIndex((line) => line.startsWith('preset:')) <= 5);
  });

  it('shows YAML that can be read, and manifests with all that Kubernetes asks of one', () => {
    for (const { text: yaml } of yamlBlocks()) {
      const documents = parseAllDocuments(yaml);
      for (const document of documents) assert.deepEqual(document.errors, [], yaml);
      if (!yaml.startsWith('# Kubernetes')) continue;
      for (const document of documents)
        for (const key of ['apiVersion', 'kind', 'metadata', 'spec']) assert.ok(document.has(key), `${key} in ${yaml}`);
    }
  });

  it('names commands and options that there are', async () => {
    const lines = blocks
      .filter(({ language }) => language === 'sh')
      .flatMap((block) => block.text.split('\n').filter((line) => line.startsWith('flytegate ')));
    assert.ok(lines.length >= 5);
    for (const line of lines) {
      const words = line.replace(/#.*/, '').trim().split(/\s+/).slice(1);
      const commands = words.slice(
        0,
        words.findIndex((word) => word.startsWith('--')),
      );
      const help = await helpOf(commands);
      assert.match(help, new RegExp(`^Usage: flytegate ${commands.join(' ')} `));
      for (const option of words.filter((word) => word.startsWith('--'))) assert.ok(help.includes(`  ${option}`), line);
    }
  });

  it('leads from every complaint to checks that there are, and to every check', () => {
    const [, table = ''] = text.split('| what people see |');
    const rows = table.split('\n').filter((row) => row.startsWith('| ') || row.startsWith('|  '));
    const named = rows.filter((row) => !row.includes('---')).map((row) => row.split('|').at(-2) ?? '');
    for (const [at, cell] of named.entries()) {
      const names = [...cell.matchAll(/`([a-z-]+)`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !name.startsWith('--'));
      if (at === 0) continue; // the head of the table
      assert.ok(names.length > 0, rows[at]);
      for (const name of names) assert.ok(Object.hasOwn(checks, name), name);
    }
    for (const name of Object.keys(checks)) assert.ok(table.includes(`\`${name}\``), `${name} is in no line`);
    for (const complaint of ['circles', 'SDK: 401', 'internal services get 401', 'operator or propeller', 'scheduler'])
      assert.ok(table.includes(complaint), complaint);
  });

  it('links to files that there are', () => {
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(new URL(`../../docs/${target}`, import.meta.url)), target);
  });
});

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

async function helpOf(commands: readonly string[]): Promise<string> {
  return (await run(process.execPath, ['--import', 'tsx', cli, ...commands, '--help'], { timeout: 60_000 })).stdout;
}
