import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { readPage } from './blocks.ts';

const rowsOf = async () => {
  const [, section = ''] = (await readPage('docs/operations.md')).split('\n## Bad days\n');
  const [table = ''] = section.split('\n### ');
  const lines = table.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(1).map((line) => line.split(' | '));
};

describe('the table of bad days in docs/operations.md', () => {
  it('has every bad day, with what shows it', async () => {
    const rows = await rowsOf();
    assert.equal(rows.length, 9);
    for (const [event = '', , shows = ''] of rows) assert.ok(shows.length > 10, event);
  });

  it('names tests that exist', async () => {
    for (const [event, , , proof = ''] of await rowsOf()) {
      const files = [...proof.matchAll(/`(test\/[^`]+\.test\.ts)` ([^`]+)/g)];
      assert.ok(files.length > 0, event);
      for (const [, file = '', titles = ''] of files) {
        const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
        const names = [...titles.matchAll(/“([^”]+)”/g)].map(([, name = '']) => name);
        assert.ok(names.length > 0, file);
        for (const name of names) assert.ok(text.includes(name), `${file}: ${name}`);
      }
    }
  });
});
