import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type Loaded, loadConfig } from '../src/config/load.ts';
import { createReload } from '../src/reload.ts';
import { blockKey, hashKey, leastSettings } from './config/settings-folder.ts';

const undo: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

/** Settings whose secrets are where Kubernetes would put them: links to a folder that is a link itself. */
async function start(intervalMs = 5) {
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-reload-'));
  undo.push(() => rm(folder, { recursive: true }));
  const file = join(folder, 'flytegate.yaml');
  const secrets = { oidc_client_secret: 'one', cookie_hash_key: hashKey, cookie_block_key: blockKey };
  await writeFile(file, leastSettings.replace('server:\n', `server:\n  reloadInterval: ${intervalMs}ms\n`));
  await mkdir(join(folder, 'secrets/..1'), { recursive: true });
  for (const [name, content] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets/..1', name), content);
    await symlink(`..data/${name}`, join(folder, 'secrets', name));
  }
  await symlink('..1', join(folder, 'secrets/..data'));
  const taken: Loaded[] = [];
  const waiting = new Set<() => void>();
  const takeOver = async (load: () => Promise<Loaded>) => {
    taken.push(await load());
    for (const tell of waiting) tell();
  };
  const { files } = await loadConfig(file);
  const reload = createReload({ load: () => loadConfig(file), takeOver, files, intervalMs });
  undo.push(reload.stop);
  const count = (n: number) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (taken.length < n) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { folder, file, secrets, reload, taken, count };
}

const secretOf = (loaded: Loaded | undefined) =>
  loaded?.kind === 'config' ? loaded.config.auth.userAuth.openId.clientSecret?.reveal() : loaded?.kind;

describe('Files that the settings depend on', () => {
  it('are noticed when Kubernetes swaps the folder behind all of them', async () => {
    const { folder, secrets, taken, count } = await start();
    await mkdir(join(folder, 'secrets/..2'));
    for (const [name, content] of Object.entries({ ...secrets, oidc_client_secret: 'two' }))
      await writeFile(join(folder, 'secrets/..2', name), content);
    await symlink('..2', join(folder, 'secrets/..data_tmp'));
    await rename(join(folder, 'secrets/..data_tmp'), join(folder, 'secrets/..data'));
    await count(1);
    assert.equal(secretOf(taken[0]), 'two');
  });

  it('are watched also where they were missing, and are taken over when they are there', async () => {
    const { folder, taken, count } = await start();
    const secret = join(folder, 'secrets/..1/oidc_client_secret');
    await rename(secret, `${secret}.away`);
    await count(1);
    assert.equal(secretOf(taken[0]), 'mistakes');
    await rename(`${secret}.away`, secret);
    await count(2);
    assert.equal(secretOf(taken[1]), 'one');
  });

  it('are read once for one change, however bad', async () => {
    const { file, taken, count } = await start();
    await writeFile(file, 'not: settings\n');
    await count(1);
    // Seen later than the first change, by the same looks.
    await writeFile(file, 'nor: these\n');
    await count(2);
    assert.deepEqual(taken.map(secretOf), ['mistakes', 'mistakes']);
  });

  it('are looked at no more once it was stopped', async () => {
    const { file, reload, taken } = await start();
    await reload.stop();
    await writeFile(file, 'not: settings\n');
    await reload.now();
    assert.equal(taken.length, 0);
  });
});
