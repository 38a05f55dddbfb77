import { resolve } from 'node:path';
import type { SettingsDraft } from './schema.ts';
import { secretNames } from './schema-auth.ts';

/** A secret file that is read, by the setting that it belongs to. */
export interface SecretPlace {
  readonly setting: string;
  /** Absolute. */
  readonly file: string;
  /** A client secret is shared with the provider, often with other programs, too; keys are ours alone. */
  readonly kind: 'client-secret' | 'keys';
}

/**
 * Where the secrets are that these settings need, for whoever looks at the files themselves.
 *
 * @param folder that relative paths start from
 */
export function secretPlaces(draft: SettingsDraft, folder: string): readonly SecretPlace[] {
  const { secretsDir = '', auth, serviceApp, upstreams } = draft;
  const { openId, cookieHashKeySecretName, cookieBlockKeySecretName } = auth.userAuth;
  const told = Object.values(upstreams);
  const isSigned = told.some(({ identityHeaders }) => identityHeaders?.some((mode) => SIGNED.has(mode)));
  const isServiceApp = told.some(({ upstreamAuthorization }) => upstreamAuthorization === 'service-app');
  const inDir = (name: string | undefined) => (name ? resolve(folder, secretsDir, name) : undefined);
  const named = (file: string | undefined, name: string | undefined) => (file ? resolve(folder, file) : inDir(name));
  const places: readonly (readonly [SecretPlace['kind'], string, string | undefined])[] = [
    ['client-secret', 'auth.userAuth.openId', named(openId.clientSecretFile, openId.clientSecretName)],
    ['keys', 'auth.userAuth.cookieHashKeySecretName', inDir(cookieHashKeySecretName)],
    ['keys', 'auth.userAuth.cookieBlockKeySecretName', inDir(cookieBlockKeySecretName)],
    ['client-secret', 'auth.introspection', named(auth.introspection.clientSecretFile, undefined)],
    [
      'client-secret',
      'serviceApp',
      isServiceApp ? named(serviceApp.clientSecretFile, secretNames.serviceApp) : undefined,
    ],
    ['keys', 'upstreams, identityHeaders', isSigned ? inDir(secretNames.assertion) : undefined],
  ];
  return places.flatMap(([kind, setting, file]) => (file === undefined ? [] : [{ kind, setting, file }]));
}

const SIGNED: ReadonlySet<string> = new Set(['alb', 'assertion']);
