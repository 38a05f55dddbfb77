import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A folder with a settings file and the files it names. */
export interface SettingsFolder {
  readonly folder: string;
  /** Path of the settings file. */
  readonly file: string;
  remove(): Promise<void>;
}

export const hashKey = Buffer.alloc(32, 'hash keys are').toString('base64');
export const blockKey = Buffer.alloc(32, 'block keys').toString('base64');

/** What every settings file needs beside it. */
export const secretFiles = {
  'secrets/oidc_client_secret': 'correct horse battery staple\n',
  'secrets/cookie_hash_key': `${hashKey}\n`,
  'secrets/cookie_block_key': `${blockKey}\n`,
} as const;

/** The least that a settings file can say. */
export const leastSettings = `
server:
  publicUrl: https://flyte.example.com
secretsDir: secrets
auth:
  userAuth:
    openId:
      baseUrl: https://idp.example.com/oauth2/default
      clientId: flyte-web
upstreams:
  control-plane:
    url: http://127.0.0.1:8090
routes:
  - path: /
    upstream: control-plane
`.trimStart();

/** Writes `settings` and `files` (by path, relative) into a new folder of the system's temporary one. */
export async function makeSettingsFolder(
  settings: string | Uint8Array,
  files: Readonly<Record<string, string>> = secretFiles,
): Promise<SettingsFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-settings-'));
  const file = join(folder, 'flytegate.yaml');
  await writeFile(file, settings);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return { folder, file, remove: () => rm(folder, { recursive: true }) };
}
