import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, it } from 'node:test';
import { failureCodes } from '../src/failure.ts';

const src = join(import.meta.dirname, '../src');

/** Rooms in the order in which they may know each other: a file imports only from earlier lines. */
const lines: readonly (readonly string[])[] = [
  ['config', 'failure'],
  ['observe', 'routing'],
  ['server', 'redis'],
  ['session'],
  ['oidc', 'authenticate'],
  ['access'],
  ['answer', 'forward', 'flyte'],
  ['handle'],
  ['backchannel-endpoint', 'sessions-endpoint'],
  ['endpoints'],
  ['ways-in', 'shared-state', 'prove-session', 'operator-sessions'],
  ['admin-api'],
  ['lasting'],
  ['part'],
  ['proving'],
  ['generation'],
  ['generations'],
  ['take-over'],
  ['gateway'],
  ['reload'],
  ['workers'],
  ['serve'],
  ['demo'],
  ['api-key-command', 'sessions-command', 'doctor'],
  ['cli'],
];

const files = globSync('**/*.ts', { cwd: src })
  .filter((file) => !file.split('/').includes('gen'))
  .map((file) => ({ file, text: readFileSync(join(src, file), 'utf8') }));

/** The room of a file: its folder, or for a file at the top its own name. */
function roomOf(file: string): string {
  const [first = ''] = file.split('/');
  return first.replace(/\.ts$/, '');
}

function importsOf({ file, text }: { file: string; text: string }): string[] {
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '');
  return specifiers.map((specifier) => relative(src, normalize(join(src, dirname(file), specifier))));
}

function rankOf(room: string): number {
  const rank = lines.findIndex((line) => line.includes(room));
  assert.notEqual(rank, -1, `room ${room} has no place in the order`);
  return rank;
}

describe('the rooms', () => {
  it('import only from rooms on earlier lines', () => {
    const wrong = files.flatMap((file) => {
      const room = roomOf(file.file);
      return importsOf(file)
        .filter((target) => roomOf(target) !== room && rankOf(roomOf(target)) >= rankOf(room))
        .map((target) => `${file.file} imports ${target}`);
    });
    assert.deepEqual(wrong, []);
  });

  it('never load the demo but from the command line, dynamically', () => {
    const wrong = files.filter(
      ({ file, text }) => roomOf(file) !== 'demo' && /from '\.\/demo|from '\.\.\/demo/.test(text),
    );
    assert.deepEqual(
      wrong.map(({ file }) => file),
      [],
    );
  });

  it('have no cycles', () => {
    const graph = new Map(files.map((file) => [file.file, importsOf(file)]));
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' → ')}`);
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
  });

  it('read the environment nowhere but in config and the command line', () => {
    const wrong = files.filter(
      ({ file, text }) => !['config', 'cli', 'demo'].includes(roomOf(file)) && text.includes('process.env'),
    );
    assert.deepEqual(
      wrong.map(({ file }) => file),
      [],
    );
  });

  it('stay small: no file over 350 lines', () => {
    const large = files.filter(({ text }) => text.split('\n').length > 350);
    assert.deepEqual(
      large.map(({ file }) => file),
      [],
    );
  });
});

describe('the table of failure codes in src/README.md', () => {
  it('lists every code with its meaning, and no other', () => {
    const readme = readFileSync(join(src, 'README.md'), 'utf8');
    const rows = [...readme.matchAll(/^\| `([a-z_]+)` \| (.*) \|$/gm)].map((match) => [match[1], match[2]]);
    assert.deepEqual(rows, Object.entries(failureCodes));
  });
});
