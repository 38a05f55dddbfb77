import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
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
  await replaceFiles(
    dir,
    names.map((name, at) => ({ name, text: `${[pair[name], ...(old[at] ?? [])].join('\n')}\n` })),
  );
  return hashes.length + 1;
}

/** Writes all files of a folder anew, complete on disk before the first takes its place. */
export async function replaceFiles(dir: string, files: readonly { name: string; text: string }[]): Promise<void> {
  const fresh: string[] = [];
  try {
    for (const { name, text } of files) {
      // A name that nobody can foresee, and only a file that is not there: a link laid out before would carry keys away.
      const file = join(dir, `.${name}.${randomBytes(12).toString('hex')}.new`);
      fresh.push(file);
      await writeFile(file, text, { mode: 0o600, flag: 'wx', flush: true });
    }
    for (const [at, { name }] of files.entries()) await rename(fresh[at] ?? '', join(dir, name));
  } finally {
    // Those that took their place are no longer there under these names.
    await Promise.all(fresh.map((file) => rm(file, { force: true })));
  }
}

async function readKeys(file: string): Promise<readonly string[]> {
  return (await readKeyText(file)).split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** The text of a key file; empty where there is none yet. @throws when it cannot be read */
export async function readKeyText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    // A missing file is where everybody begins; anything else is told.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return '';
    throw cause;
  }
}
