import { dirname, resolve } from 'node:path';
import { findDisagreements } from './agreement.ts';
import { assemble } from './assemble.ts';
import type { Config } from './config.ts';
import { type Effective, effectiveSettings } from './effective.ts';
import type { Mistake } from './mistake.ts';
import { expandPresets } from './presets.ts';
import { readSettings } from './read-settings.ts';
import type { Settings } from './schema.ts';
import { readSecrets } from './secret-files.ts';
import { type SecretPlace, secretPlaces } from './secret-places.ts';
import { readSeen, type Seen, type SeenFiles } from './seen-files.ts';
import { readYaml } from './yaml-file.ts';

export type Loaded =
  // `effective` is the same as a file would spell it.
  | {
      readonly kind: 'config';
      readonly config: Config;
      readonly effective: Effective;
      readonly secretPlaces: readonly SecretPlace[];
      readonly files: SeenFiles;
    }
  | { readonly kind: 'mistakes'; readonly mistakes: readonly Mistake[]; readonly files: SeenFiles };

/** Ten thousand routes take about one. */
const maxBytes = 4 * 1_048_576;

/**
 * Reads one YAML file, at most 4 MiB, and the secret files it names.
 *
 * @param file relative paths inside it start from its folder
 * @returns the settings, frozen, or everything that is wrong with them at once
 */
export async function loadConfig(file: string): Promise<Loaded> {
  const files = new Map<string, Seen>();
  const read = await readSeen(resolve(file), maxBytes, files);
  const wrong = (mistakes: readonly Mistake[]) => ({ kind: 'mistakes', mistakes, files }) as const;
  if ('trouble' in read) return wrong([{ path: [], expected: 'a settings file, at most 4 MiB', found: read.trouble }]);
  const folder = resolve(dirname(file));
  const yaml = readYaml(read.text);
  if (yaml.mistakes.length > 0) return wrong(yaml.mistakes);
  const { content, mistakes: missing } = expandPresets(yaml.content);
  const { draft, mistakes: unreadable } = readSettings(content);
  // Something else altogether: what its settings would have been is not worth a word.
  if (unreadable.some(({ path }) => path.length === 0)) return wrong(unreadable);
  const { secrets, mistakes: unusable } = await readSecrets(draft, folder);
  for (const [path, seen] of secrets.files) files.set(path, seen);
  const mistakes = [...missing, ...unreadable, ...findDisagreements(draft), ...unusable];
  if (mistakes.length > 0) return wrong(mistakes.map((mistake) => locate(mistake, yaml.lineOf(mistake.path))));
  // Without mistakes nothing in the draft is missing.
  const config = assemble(draft as Settings, secrets, folder);
  return {
    kind: 'config',
    config,
    effective: effectiveSettings(content),
    secretPlaces: secretPlaces(draft, folder),
    files,
  };
}

function locate(mistake: Mistake, line: number | undefined): Mistake {
  return line === undefined ? mistake : { ...mistake, line };
}
