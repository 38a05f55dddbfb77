import { LRUCache } from 'lru-cache';
import type { Identity } from '../authenticate/identity.ts';
import type { Log } from '../observe/log.ts';

/** A longer value is left out: an upstream or nginx would refuse the whole message for it. */
const MAX_VALUE_BYTES = 1024;

/**
 * What is wrong with a value that names somebody to an upstream; undefined when nothing is. White space at the ends is lost
 * on the way and control characters end a header: either would name somebody else.
 *
 * @param bytes its length in UTF-8
 */
export function faultOfValue(value: string, bytes: number = Buffer.byteLength(value)): string | undefined {
  if (bytes > MAX_VALUE_BYTES) return `over ${MAX_VALUE_BYTES} bytes`;
  if (/\p{Cc}/u.test(value)) return 'control character';
  if (value !== value.trim()) return 'white space at an end';
  return value.isWellFormed() ? undefined : 'half a surrogate pair';
}

/** Tells that something about a person could not be said. */
export type Warn = (identity: Identity, header: string, why: string) => void;

/** The groups that cannot be taken for others, nor for several. */
export function clearGroups(identity: Identity, header: string, warn: Warn): readonly string[] {
  const clear = identity.groups.filter((group) => group !== '' && !/[,\p{Cc}]/u.test(group) && group === group.trim());
  if (clear.length < identity.groups.length)
    warn(identity, header, 'a group has a comma, control character or white space at an end');
  return clear;
}

/** Warns once for a person and header, as long as they are among the last thousand. */
export function createWarnOnce(log: Log): Warn {
  const warned = new LRUCache<string, true>({ max: 1000 });
  return (identity, header, why) => {
    const key = JSON.stringify([identity.issuer, identity.subject, header]);
    if (warned.has(key)) return;
    warned.set(key, true);
    log.warn('identity.header_left_out', { header, why });
  };
}
