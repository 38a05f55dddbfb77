import type { Config } from '../config/config.ts';
import { fingerprint } from '../config/fingerprint.ts';

/**
 * The settings that lead to the next ones, where several processes change one after the other: a cookie key opens
 * everywhere before anybody seals with it. Else a person whose cookie was just sealed with it would be signed out by the
 * next process.
 *
 * @returns one or two, the last of them `next`
 */
export function stepsTo(next: Config, before: Config): readonly Config[] {
  const known = new Set(before.cookieKeys.map((key) => fingerprint(key)));
  const fresh = next.cookieKeys.filter((key) => !known.has(fingerprint(key)));
  if (fresh.length === 0) return [next];
  return [{ ...before, cookieKeys: [...before.cookieKeys, ...fresh] }, next];
}
