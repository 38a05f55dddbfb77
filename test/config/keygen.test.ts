import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { addKeyPair, makeKeyPair } from '../../src/config/keygen.ts';

describe('putting a pair of keys into key files', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'flytegate-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('leaves nothing beside the two files, which only their owner can read', async () => {
    await addKeyPair(dir, makeKeyPair());
    await chmod(join(dir, 'cookie_hash_key'), 0o644);
    assert.equal(await addKeyPair(dir, makeKeyPair()), 2);
    assert.deepEqual((await readdir(dir)).sort(), ['cookie_block_key', 'cookie_hash_key']);
    for (const name of await readdir(dir)) assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600);
  });

  it('writes through no link that somebody laid out for it', async () => {
    const elsewhere = join(dir, 'elsewhere');
    await mkdir(join(dir, 'keys'));
    await writeFile(elsewhere, 'untouched');
    for (const name of ['.cookie_hash_key.new', '.cookie_block_key.new'])
      await symlink(elsewhere, join(dir, 'keys', name));
    await addKeyPair(join(dir, 'keys'), makeKeyPair());
    assert.equal(await readFile(elsewhere, 'utf8'), 'untouched');
    assert.ok((await stat(join(dir, 'keys', 'cookie_hash_key'))).isFile());
  });

  it('takes the place of a key file that is a link, and leaves where it leads alone', async () => {
    const elsewhere = join(dir, 'elsewhere');
    const [old, fresh] = [makeKeyPair(), makeKeyPair()];
    await addKeyPair(dir, old);
    await rm(join(dir, 'cookie_hash_key'));
    await writeFile(elsewhere, old.cookie_hash_key);
    await symlink(elsewhere, join(dir, 'cookie_hash_key'));
    await addKeyPair(dir, fresh);
    assert.equal(await readFile(elsewhere, 'utf8'), old.cookie_hash_key);
    const lines = (await readFile(join(dir, 'cookie_hash_key'), 'utf8')).trim().split('\n');
    assert.deepEqual(lines, [fresh.cookie_hash_key, old.cookie_hash_key]);
  });

  it('leaves no half-written key behind when it fails', async () => {
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    const inTheWay = {
      cookie_block_key: block,
      // Somebody puts a folder in the file's place, after it was read: no file can take its place.
      get cookie_hash_key() {
        mkdirSync(join(dir, 'cookie_hash_key'));
        return hash;
      },
    };
    await assert.rejects(addKeyPair(dir, inTheWay), { syscall: 'rename' });
    assert.deepEqual(await readdir(dir), ['cookie_hash_key']);
  });
});
