import { generateKeyPairSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readAssertionKeys } from './assertion-keys.ts';
import { readKeyText, replaceFiles } from './keygen.ts';

const name = 'assertion_key';

/** Makes a key that assertions are signed with: P-256 (for ES256), PKCS#8 in PEM. */
export function makeAssertionKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * Puts a key last in the key file of a folder, which is made where it is missing (mode 0600). The first one goes on signing:
 * a key has to be published by every process before the first of them signs with it.
 *
 * @returns how many keys the file has now
 * @throws when the file holds something else, or is full; nothing is changed then
 */
export async function addAssertionKey(dir: string, pem: string): Promise<number> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const old = await readKeyText(join(dir, name));
  const text = old.trim() === '' ? pem : `${old.trimEnd()}\n${pem}`;
  const read = readAssertionKeys(text);
  if (read.kind === 'wrong')
    throw new Error(`${name} in ${dir} was expected to hold ${read.expected}; found ${read.found.join(', ')}`);
  await replaceFiles(dir, [{ name, text }]);
  return read.keys.length;
}

/** Makes the first key of a folder whose key file is missing or empty. @returns whether it did */
export async function addFirstAssertionKey(dir: string): Promise<boolean> {
  if ((await readKeyText(join(dir, name))).trim() !== '') return false;
  await addAssertionKey(dir, makeAssertionKey());
  return true;
}
