import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { maxKeys } from './cookie-keys.ts';

/** A new pair of cookie keys in base64, as the key files hold them: 64 bytes to tell forgeries, 32 to seal. */
export interface KeyPair {
  readonly cookie_hash_key: string;
  readonly cookie_block_key: string;
}

/** Makes a pair of cookie keys from the system's random source. */
export function makeKeyPair(): KeyPair {
  return { cookie_hash_key: randomBytes(64).toString('base64'), cookie_block_key: randomBytes(32).toString('base64') };
}

const names = ['cookie_hash_key', 'cookie_block_key'] as const;

/**
 * Puts a pair of keys first in the key files of a folder, which are made where they are missing (mode 0600). Keys that
 * stood there stay below: they go on opening what they sealed.
 *
 * @returns how many keys each file has now
 * @throws when the two files do not pair or are full; nothing is changed then
 */
export async function addKeyPair(dir: string, pair: KeyPair): Promise<number> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const old = await Promise.all(names.map((name) => readKeys(join(dir, name))));
  const [hashes = [], blocks = []] = old;
  if (hashes.length !== blocks.length)
    throw new Error(`the key files in ${dir} do not pair: ${hashes.length} and ${blocks.length} lines`);
  if (hashes.length >= maxKeys)
    throw new Error(`the key files in ${dir} hold ${maxKeys} keys already: remove the last lines of both`);
  const fresh = names.map((name) => join(dir, `.${name}.new`));
  for (const [at, name] of names.entries()) {
    const file = fresh[at] ?? '';
    await writeFile(file, `${[pair[name], ...(old[at] ?? [])].join('\n')}\n`, { mode: 0o600 });
    // The mode above counts only for a file that was not there.
    await chmod(file, 0o600);
  }
  // Both are complete on disk before either takes its place.
  for (const [at, name] of names.entries()) await rename(fresh[at] ?? '', join(dir, name));
  return hashes.length + 1;
}

async function readKeys(file: string): Promise<readonly string[]> {
  try {
    return (await readFile(file, 'utf8')).split(/\r?\n/).filter((line) => line.trim() !== '');
  } catch (cause) {
    // A missing file is where everybody begins; anything else is told.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw cause;
  }
}
