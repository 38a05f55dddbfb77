import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { leastSettings, makeSettingsFolder } from './settings-folder.ts';

const undo: (() => Promise<void>)[] = [];
after(async () => {
  for (const one of undo) await one();
});

async function load(workers: string, more = '') {
  const folder = await makeSettingsFolder(
    leastSettings.replace('server:\n', `server:\n  workers: ${workers}\n`) + more,
  );
  undo.push(folder.remove);
  const loaded = await loadConfig(folder.file);
  return loaded.kind === 'config' ? loaded.config.server.workers : describeMistakes('settings', loaded.mistakes);
}

describe('server.workers', () => {
  it('is one unless said', async () => assert.equal(await load('1'), 1));

  for (const workers of ['2', 'auto'])
    it(`is refused as ${workers} where sign-outs and renewals would not be shared`, async () =>
      assert.match(
        String(await load(workers)),
        /server\.workers: expected 1 where processes share nothing; found \w+ \(.*sign-outs/,
      ));

  it('is refused where sessions are in the memory of one of them', async () =>
    assert.match(
      String(await load('2', 'session: { store: memory }\n')),
      /sessions in memory are known to the process alone/,
    ));

  for (const workers of ['0', '257', 'many', '1.5'])
    it(`is no ${workers}`, async () =>
      assert.match(String(await load(workers)), /server\.workers: expected a whole number from 1 to 256, or auto/));
});
