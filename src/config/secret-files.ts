import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { readAssertionKeys } from './assertion-keys.ts';
import type { ClientSecret, CookieKey } from './config.ts';
import { pairKeys, readKeyFile } from './cookie-keys.ts';
import type { Mistake, Path } from './mistake.ts';
import { doFit, faultOfPem, type PemKind } from './pem.ts';
import type { SettingsDraft } from './schema.ts';
import { secretNames } from './schema-auth.ts';
import { redisSecretNames } from './schema-redis.ts';
import { Secret } from './secret.ts';
import { readSeen, type Seen, type SeenFiles } from './seen-files.ts';

/** What the files beside the settings hold. */
export interface Secrets {
  /** Absent for a public client. */
  readonly clientSecret?: ClientSecret;
  /** Of the client that asks about opaque tokens. */
  readonly introspectionSecret?: ClientSecret;
  readonly cookieKeys: readonly CookieKey[];
  /** Empty where no upstream needs one. */
  readonly assertionKeys: readonly Secret[];
  /** Of the service app; absent where no upstream is sent its token. */
  readonly serviceSecret?: ClientSecret;
  readonly redisPassword?: Secret;
  readonly sentinelPassword?: Secret;
  /** Of the operator's API; absent: there is none. */
  readonly adminToken?: Secret;
  /** All files that were read, or should have been. */
  readonly files: SeenFiles;
  /** Those of them that other rooms read by themselves. */
  readonly pemFiles: readonly string[];
}

/** What came of reading: mistakes, and which files they may be in. */
interface Findings {
  readonly mistakes: Mistake[];
  readonly files: Map<string, Seen>;
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
  const files = new Map<string, Seen>();
  const findings: Findings = { mistakes, files };
  const clientSecret = await readClientSecret(draft, folder, findings);
  const introspectionSecret = await readIntrospectionSecret(draft, folder, findings);
  const cookieKeys = await readCookieKeys(draft, folder, findings);
  const assertionKeys = await readKeysOfAssertions(draft, folder, findings);
  const serviceSecret = await readServiceSecret(draft, folder, findings);
  const redisPasswords = await readRedisPasswords(draft, folder, findings);
  const adminToken = await readAdminToken(draft, folder, findings);
  const pemFiles = await checkPemFiles(draft, folder, findings);
  const secrets = {
    ...(clientSecret && { clientSecret }),
    ...(introspectionSecret && { introspectionSecret }),
    cookieKeys,
    assertionKeys,
    ...(serviceSecret && { serviceSecret }),
    ...(adminToken && { adminToken }),
    ...redisPasswords,
    files,
    pemFiles,
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
  findings: Findings,
): Promise<ClientSecret | undefined> {
  const { clientSecretFile, clientSecretName } = draft.auth.userAuth.openId;
  const hint = 'a public client, which has no secret, is declared by clientSecretName: ""';
  const path = [...userAuthPath, 'openId', clientSecretFile ? 'clientSecretFile' : 'clientSecretName'];
  const named = clientSecretFile
    ? { path, file: resolve(folder, clientSecretFile), shown: '', hint }
    : inSecretsDir(draft, folder, { path, name: clientSecretName, hint });
  return named && readSecretLines(named, findings);
}

async function readIntrospectionSecret(
  draft: SettingsDraft,
  folder: string,
  findings: Findings,
): Promise<ClientSecret | undefined> {
  const { clientSecretFile } = draft.auth.introspection;
  if (!clientSecretFile) return undefined;
  const path = ['auth', 'introspection', 'clientSecretFile'];
  return readSecretLines({ path, file: resolve(folder, clientSecretFile), shown: '', hint: '' }, findings);
}

/** Read only where an upstream is sent a token of the service app. */
async function readServiceSecret(
  draft: SettingsDraft,
  folder: string,
  findings: Findings,
): Promise<ClientSecret | undefined> {
  const isUsed = Object.values(draft.upstreams).some((upstream) => upstream.upstreamAuthorization === 'service-app');
  if (!isUsed) return undefined;
  const { clientSecretFile } = draft.serviceApp;
  const path = ['serviceApp', 'clientSecretFile'];
  const hint = 'service apps have a secret: put it alone in the file';
  const named = clientSecretFile
    ? { path, file: resolve(folder, clientSecretFile), shown: '', hint }
    : inSecretsDir(draft, folder, { path, name: secretNames.serviceApp, hint });
  return named && readSecretLines(named, findings);
}

/** Read where it is there. */
async function readAdminToken(
  draft: SettingsDraft,
  folder: string,
  { mistakes, files }: Findings,
): Promise<Secret | undefined> {
  if (!draft.secretsDir) return undefined;
  const file = resolve(folder, draft.secretsDir, secretNames.admin);
  const read = await readSeen(file, maxSecretBytes, files);
  if (!('text' in read) && !existsSync(file)) return undefined;
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
  findings: Findings,
): Promise<readonly Secret[]> {
  for (const [name, { identityHeaders }] of Object.entries(draft.upstreams)) {
    if (!identityHeaders?.some((mode) => mode === 'alb' || mode === 'assertion')) continue;
    // One key signs for all processes, so none is made up where the file is missing.
    const hint = 'alb and assertion are signed with it; flytegate keygen --assertion --dir makes one';
    const path = ['upstreams', name, 'identityHeaders'];
    const named = inSecretsDir(draft, folder, { path, name: secretNames.assertion, hint });
    const text = named && (await readFileOf(named, maxSecretBytes, findings));
    if (text === undefined) return [];
    const read = readAssertionKeys(text);
    if (read.kind === 'keys') return read.keys;
    const shown = `in ${secretNames.assertion} `;
    findings.mistakes.push(
      ...read.found.map((found) => ({ path, expected: read.expected, found: shown + found, hint })),
    );
    return [];
  }
  return [];
}

/** Read only where Redis is used, and each only when it is there: many a Redis has no password. */
async function readRedisPasswords(
  draft: SettingsDraft,
  folder: string,
  findings: Findings,
): Promise<Pick<Secrets, 'redisPassword' | 'sentinelPassword'>> {
  if (draft.session.store !== 'redis' && draft.coordination !== 'redis') return {};
  const read = async (name: string, isWanted: boolean) => {
    const hint = 'redis.username has a password: put it alone in the file';
    const named = inSecretsDir(draft, folder, { path: ['redis', 'username'], name, hint });
    if (named && (isWanted || existsSync(named.file))) return readPassword(named, findings);
    // It may come later.
    if (named) await readSeen(named.file, maxSecretBytes, findings.files);
    return undefined;
  };
  const redisPassword = await read(redisSecretNames.password, draft.redis.username !== undefined);
  const sentinelPassword = await read(redisSecretNames.sentinelPassword, false);
  return { ...(redisPassword && { redisPassword }), ...(sentinelPassword && { sentinelPassword }) };
}

async function readPassword(named: NamedFile, findings: Findings): Promise<Secret | undefined> {
  const { path, hint } = named;
  const text = await readFileOf(named, maxSecretBytes, findings);
  if (text === undefined) return undefined;
  const secret = text.replace(/\r?\n$/, '');
  if (secret !== '' && !/\p{Cc}/u.test(secret)) return new Secret(secret);
  const found = secret === '' ? 'an empty file' : 'several lines or control characters';
  findings.mistakes.push({ path, expected: 'a file with one line, the password', found, ...(hint && { hint }) });
  return undefined;
}

/** The new one and the old one, while the provider changes from one to the other. */
const maxSecrets = 2;

async function readSecretLines(named: NamedFile, findings: Findings): Promise<ClientSecret | undefined> {
  const { path, hint } = named;
  const text = await readFileOf(named, maxSecretBytes, findings);
  if (text === undefined) return undefined;
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const [first = '', second] = lines;
  if (lines.length <= maxSecrets && lines.every((line) => line !== '' && !/\p{Cc}/u.test(line)))
    return { clientSecret: new Secret(first), ...(second !== undefined && { otherClientSecret: new Secret(second) }) };
  const what = text.trim() === '' ? 'an empty file' : 'more or empty lines, or control characters';
  const expected = 'a file with one line, the client secret, or two, the new one and the old one';
  findings.mistakes.push({ path, expected, found: what, ...(hint && { hint }) });
  return undefined;
}

async function readCookieKeys(draft: SettingsDraft, folder: string, findings: Findings): Promise<readonly CookieKey[]> {
  const { cookieHashKeySecretName, cookieBlockKeySecretName } = draft.auth.userAuth;
  const hint = 'flytegate keygen --dir makes key files';
  const hashPath = [...userAuthPath, 'cookieHashKeySecretName'];
  const blockPath = [...userAuthPath, 'cookieBlockKeySecretName'];
  const hashFile = inSecretsDir(draft, folder, { path: hashPath, name: cookieHashKeySecretName, hint });
  const blockFile = inSecretsDir(draft, folder, { path: blockPath, name: cookieBlockKeySecretName, hint });
  const hashes = hashFile && (await readKeys(hashFile, 'hash', findings));
  const blocks = blockFile && (await readKeys(blockFile, 'block', findings));
  if (!hashes || !blocks) return [];
  const pairs = pairKeys(hashes, blocks);
  if (pairs) return pairs;
  const expected = 'as many block keys as hash keys, paired line by line';
  findings.mistakes.push({ path: blockPath, expected, found: `${blocks.length} for ${hashes.length}` });
  return [];
}

async function readKeys(
  named: NamedFile,
  role: 'hash' | 'block',
  findings: Findings,
): Promise<readonly Secret<Uint8Array>[] | undefined> {
  const text = await readFileOf(named, maxSecretBytes, findings);
  if (text === undefined) return undefined;
  const read = readKeyFile(text, role);
  if (read.kind === 'keys') return read.keys;
  const { path, hint } = named;
  findings.mistakes.push(...read.found.map((found) => ({ path, expected: read.expected, found, hint })));
  return undefined;
}

async function checkPemFiles(draft: SettingsDraft, folder: string, findings: Findings): Promise<readonly string[]> {
  const places = [
    { path: ['server', 'tls'], ...draft.server.tls },
    { path: ['auth'], caFile: draft.auth.caFile },
    { path: ['redis', 'tls'], ...draft.redis.tls },
    ...Object.entries(draft.upstreams).map(([name, { caFile, certFile, keyFile }]) => ({
      ...{ path: ['upstreams', name], caFile, certFile, keyFile },
    })),
  ];
  const files: string[] = [];
  const read = async (path: Path, file: string | undefined, kind: PemKind) => {
    if (!file) return undefined;
    const named = { path, file: resolve(folder, file), shown: file, hint: '' };
    files.push(named.file);
    return readPem(named, kind, findings);
  };
  for (const { path, ...named } of places) {
    if ('caFile' in named) await read([...path, 'caFile'], named.caFile, 'certificate');
    if (!('certFile' in named)) continue;
    const cert = await read([...path, 'certFile'], named.certFile, 'certificate');
    const key = await read([...path, 'keyFile'], named.keyFile, 'key');
    if (cert === undefined || key === undefined || doFit(cert, key)) continue;
    const found = `that of another one: ${named.keyFile}`;
    findings.mistakes.push({ path: [...path, 'keyFile'], expected: 'the private key of the certificate', found });
  }
  return files;
}

async function readPem(named: NamedFile, kind: PemKind, findings: Findings): Promise<string | undefined> {
  const text = await readFileOf(named, maxPemBytes, findings);
  const found = text === undefined ? undefined : faultOfPem(text, kind);
  if (found === undefined) return text;
  const expected = kind === 'key' ? 'a PEM file with a private key' : 'a PEM file with a certificate';
  findings.mistakes.push({ path: named.path, expected, found: `${found}: ${named.shown}` });
  return undefined;
}

function inSecretsDir(
  draft: SettingsDraft,
  folder: string,
  secret: { path: Path; name: string | undefined; hint: string },
): NamedFile | undefined {
  const { path, name, hint } = secret;
  if (!draft.secretsDir || !name) return undefined;
  // Only a name of our own is surely no secret.
  const isOurs = [...Object.values(secretNames), ...Object.values(redisSecretNames)].some((known) => known === name);
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
  findings: Findings,
): Promise<string | undefined> {
  const read = await readSeen(file, max, findings.files);
  if ('text' in read) return read.text;
  const found = shown === '' ? read.trouble : `${read.trouble}: ${shown}`;
  findings.mistakes.push({ path, expected: 'a text file that can be read', found, ...(hint && { hint }) });
  return undefined;
}
