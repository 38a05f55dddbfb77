import type { Config } from '../config/config.ts';
import { Secret } from '../config/secret.ts';

/** A name that no setting, upstream or file has. */
const mark = '$secret';

/**
 * Settings with their secrets as text, for the channel between processes of one gateway and for nothing else: a worker
 * starts with the settings in force, whatever its files say by then.
 */
export function encodeConfig(config: Config): string {
  return JSON.stringify(config, function (this: Record<string, unknown>, key, said) {
    const raw = this[key];
    if (!(raw instanceof Secret)) return said;
    const value: unknown = raw.reveal();
    return value instanceof Uint8Array
      ? { [mark]: Buffer.from(value).toString('base64'), bytes: true }
      : { [mark]: value };
  });
}

/** Reads what `encodeConfig` wrote, frozen to the bottom again. */
export function decodeConfig(text: string): Config {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value;
    const secret = secretIn(value);
    return secret ?? Object.freeze(value);
  });
}

function secretIn(value: object): Secret<string | Uint8Array> | undefined {
  if (!(mark in value) || typeof value[mark] !== 'string') return undefined;
  return 'bytes' in value ? new Secret(new Uint8Array(Buffer.from(value[mark], 'base64'))) : new Secret(value[mark]);
}
