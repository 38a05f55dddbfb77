import { resolve } from 'node:path';
import { readAssertionKeys } from './assertion-keys.ts';
import { readBoundedText } from './bounded-file.ts';
import type { CookieKey } from './config.ts';
import { pairKeys, readKeyFile } from './cookie-keys.ts';
import type { Mistake, Path } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';
import { secretNames } from './schema-auth.ts';
import { Secret } from './secret.ts';

/** What the files beside the settings hold. */
export interface Secrets {
  /** Absent for a public client. */
  readonly clientSecret?: Secret;
  /** Of the client that asks about opaque tokens. */
  readonly introspectionSecret?: Secret;
  readonly cookieKeys: readonly CookieKey[];
  /** Empty where no upstream needs one. */
  readonly assertionKeys: readonly Secret[];
  /** Of the service app; absent where no upstream is sent its token. */
  readonly serviceSecret?: Secret;
  /** Of the operator's API; absent: there is none. */
  readonly adminToken?: Secret;
}

const maxSecretBytes = 65_536;
const maxPemBytes = 1_048_576;
const userAuthPath = ['auth', 'userAuth'];

/**
 * Reads the client secret and the cookie keys, and makes sure that certificates are there. Every mistake is told, none of
 * them with a word of what a file holds.
 *
 * @param folder that relative paths start from
 */
export async function readSecrets(
  draft: SettingsDraft,
  folder: string,
): Promise<{ secrets: Secrets; mistakes: readonly Mistake[] }> {
  const mistakes: Mistake[] = [];
  const clientSecret = await readClientSecret(draft, folder, mistakes);
  const introspectionSecret = await readIntrospectionSecret(draft, folder, mistakes);
  const cookieKeys = await readCookieKeys(draft, folder, mistakes);
  const assertionKeys = await readKeysOfAssertions(draft, folder, mistakes);
  const serviceSecret = await readServiceSecret(draft, folder, mistakes);
  const adminToken = await readAdminToken(draft, folder, mistakes);
  await checkPemFiles(draft, folder, mistakes);
  const secrets = {
    ...(clientSecret && { clientSecret }),
    ...(introspectionSecret && { introspectionSecret }),
    cookieKeys,
    assertionKeys,
    ...(serviceSecret && { serviceSecret }),
    ...(adminToken && { adminToken }),
  };
  return { secrets, mistakes };
}

/** A file that a setting names. */
interface NamedFile {
  /** Of the setting. */
  readonly path: Path;
  readonly file: string;
  /** How the file is called in a message; empty where a secret may have been pasted instead of its name. */
  readonly shown: string;
  readonly hint: string;
}

async function readClientSecret(
  draft: SettingsDraft,
  folder: string,
  mistakes: Mistake[],
): Promise<Secret | undefined> {
  const { clientSecretFile, clientSecretName } = draft.auth.userAuth.openId;
  const hint = 'a public client, which has no secret, is declared by clientSecretName: ""';
  const path = [...userAuthPath, 'openId', clientSecretFile ? 'clientSecretFile' : 'clientSecretName'];
  const named = clientSecretFile
    ? { path, file: resolve(folder, clientSecretFile), shown: '', hint }
    : inSecretsDir(draft, folder, { path, name: clientSecretName, hint });
  return named && readSecretLine(named, mistakes);
}

async function readIntrospectionSecret(
  draft: SettingsDraft,
  folder: string,
  mistakes: Mistake[],
): Promise<Secret | undefined> {
  const { clientSecretFile } = draft.auth.introspection;
  if (!clientSecretFile) return undefined;
  const path = ['auth', 'introspection', 'clientSecretFile'];
  return readSecretLine({ path, file: resolve(folder, clientSecretFile), shown: '', hint: '' }, mistakes);
}

/** Read only where an upstream is sent a token of the service app. */
async function readServiceSecret(
  draft: SettingsDraft,
  folder: string,
  mistakes: Mistake[],
): Promise<Secret | undefined> {
  const isUsed = Object.values(draft.upstreams).some((upstream) => upstream.upstreamAuthorization === 'service-app');
  if (!isUsed) return undefined;
  const { clientSecretFile } = draft.serviceApp;
  const path = ['serviceApp', 'clientSecretFile'];
  const hint = 'service apps have a secret: put it alone in the file';
  const named = clientSecretFile
    ? { path, file: resolve(folder, clientSecretFile), shown: '', hint }
    : inSecretsDir(draft, folder, { path, name: secretNames.serviceApp, hint });
  return named && readSecretLine(named, mistakes);
}

/** Read where it is there. */
async function readAdminToken(draft: SettingsDraft, folder: string, mistakes: Mistake[]): Promise<Secret | undefined> {
  if (!draft.secretsDir) return undefined;
  const read = await readBoundedText(resolve(folder, draft.secretsDir, secretNames.admin), maxSecretBytes);
  if (!('text' in read) && read.isMissing) return undefined;
  const token = 'text' in read ? read.text.replace(/\r?\n$/, '') : '';
  if (/^[\x21-\x7e]{32,1024}$/.test(token)) return new Secret(token);
  const found = 'text' in read ? 'something else' : read.trouble;
  mistakes.push({
    path: ['secretsDir'],
    expected: `in ${secretNames.admin} one line of 32 to 1024 characters without blanks`,
    found,
    hint: 'openssl rand -base64 32 makes one; without the file the admin API is off',
  });
  return undefined;
}

/** Read only where an upstream is told something signed. */
async function readKeysOfAssertions(
  draft: SettingsDraft,
  folder: string,
  mistakes: Mistake[],
): Promise<readonly Secret[]> {
  for (const [name, { identityHeaders }] of Object.entries(draft.upstreams)) {
    if (!identityHeaders?.some((mode) => mode === 'alb' || mode === 'assertion')) continue;
    // One key signs for all processes, so none is made up where the file is missing.
    const hint = 'alb and assertion are signed with it; flytegate keygen --assertion --dir makes one';
    const path = ['upstreams', name, 'identityHeaders'];
    const named = inSecretsDir(draft, folder, { path, name: secretNames.assertion, hint });
    const text = named && (await readFileOf(named, maxSecretBytes, mistakes));
    if (text === undefined) return [];
    const read = readAssertionKeys(text);
    if (read.kind === 'keys') return read.keys;
    const shown = `in ${secretNames.assertion} `;
    mistakes.push(...read.found.map((found) => ({ path, expected: read.expected, found: shown + found, hint })));
    return [];
  }
  return [];
}

async function readSecretLine(named: NamedFile, mistakes: Mistake[]): Promise<Secret | undefined> {
  const { path, hint } = named;
  const text = await readFileOf(named, maxSecretBytes, mistakes);
  if (text === undefined) return undefined;
  const secret = text.replace(/\r?\n$/, '');
  if (secret !== '' && !/\p{Cc}/u.test(secret)) return new Secret(secret);
  const found = secret === '' ? 'an empty file' : 'several lines or control characters';
  mistakes.push({ path, expected: 'a file with one line, the client secret', found, ...(hint && { hint }) });
  return undefined;
}

async function readCookieKeys(
  draft: SettingsDraft,
  folder: string,
  mistakes: Mistake[],
): Promise<readonly CookieKey[]> {
  const { cookieHashKeySecretName, cookieBlockKeySecretName } = draft.auth.userAuth;
  const hint = 'flytegate keygen --dir makes key files';
  const hashPath = [...userAuthPath, 'cookieHashKeySecretName'];
  const blockPath = [...userAuthPath, 'cookieBlockKeySecretName'];
  const hashFile = inSecretsDir(draft, folder, { path: hashPath, name: cookieHashKeySecretName, hint });
  const blockFile = inSecretsDir(draft, folder, { path: blockPath, name: cookieBlockKeySecretName, hint });
  const hashes = hashFile && (await readKeys(hashFile, 'hash', mistakes));
  const blocks = blockFile && (await readKeys(blockFile, 'block', mistakes));
  if (!hashes || !blocks) return [];
  const pairs = pairKeys(hashes, blocks);
  if (pairs) return pairs;
  const expected = 'as many block keys as hash keys, paired line by line';
  mistakes.push({ path: blockPath, expected, found: `${blocks.length} for ${hashes.length}` });
  return [];
}

async function readKeys(
  named: NamedFile,
  role: 'hash' | 'block',
  mistakes: Mistake[],
): Promise<readonly Secret<Uint8Array>[] | undefined> {
  const text = await readFileOf(named, maxSecretBytes, mistakes);
  if (text === undefined) return undefined;
  const read = readKeyFile(text, role);
  if (read.kind === 'keys') return read.keys;
  const { path, hint } = named;
  mistakes.push(...read.found.map((found) => ({ path, expected: read.expected, found, hint })));
  return undefined;
}

async function checkPemFiles(draft: SettingsDraft, folder: string, mistakes: Mistake[]): Promise<void> {
  const certificate = { mark: '-----BEGIN CERTIFICATE-----', holds: 'a certificate' };
  const privateKey = { mark: 'PRIVATE KEY-----', holds: 'a private key' };
  const { certFile, keyFile } = draft.server.tls;
  const files = [
    { path: ['server', 'tls', 'certFile'], file: certFile, ...certificate },
    { path: ['server', 'tls', 'keyFile'], file: keyFile, ...privateKey },
    { path: ['auth', 'caFile'], file: draft.auth.caFile, ...certificate },
    ...Object.entries(draft.upstreams).flatMap(([name, { caFile, certFile, keyFile }]) => [
      { path: ['upstreams', name, 'caFile'], file: caFile, ...certificate },
      { path: ['upstreams', name, 'certFile'], file: certFile, ...certificate },
      { path: ['upstreams', name, 'keyFile'], file: keyFile, ...privateKey },
    ]),
  ];
  for (const { path, file, mark, holds } of files) {
    if (!file) continue;
    const text = await readFileOf({ path, file: resolve(folder, file), shown: file, hint: '' }, maxPemBytes, mistakes);
    if (text !== undefined && !text.includes(mark))
      mistakes.push({ path, expected: `a PEM file with ${holds}`, found: 'a file without one' });
  }
}

function inSecretsDir(
  draft: SettingsDraft,
  folder: string,
  secret: { path: Path; name: string | undefined; hint: string },
): NamedFile | undefined {
  const { path, name, hint } = secret;
  if (!draft.secretsDir || !name) return undefined;
  // Only a name of our own is surely no secret.
  const isOurs = Object.values(secretNames).some((known) => known === name);
  return {
    path,
    hint,
    file: resolve(folder, draft.secretsDir, name),
    shown: isOurs ? `${name} in ${draft.secretsDir}` : '',
  };
}

async function readFileOf(
  { path, file, shown, hint }: NamedFile,
  max: number,
  mistakes: Mistake[],
): Promise<string | undefined> {
  const read = await readBoundedText(file, max);
  if ('text' in read) return read.text;
  const found = shown === '' ? read.trouble : `${read.trouble}: ${shown}`;
  mistakes.push({ path, expected: 'a text file that can be read', found, ...(hint && { hint }) });
  return undefined;
}
