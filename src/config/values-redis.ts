import { isIP } from 'node:net';
import type { RedisAddress } from './config.ts';
import { type Parsed, parseAddress } from './values.ts';

/** `redis://host:port` or `rediss://host:port`; without a port 6379. */
export function parseRedisUrl(text: string): Parsed<RedisAddress> {
  const [, scheme, rest = ''] = /^(rediss?):\/\/([^/]*)\/?$/i.exec(text) ?? [];
  if (scheme === undefined)
    return { wrong: /^rediss?:/i.test(text) ? 'nothing may follow the host and port: see redis.database' : '' };
  if (rest.includes('@')) return { wrong: 'a URL is no place for a user name or password: see redis.username' };
  const hasPort = /:\d+$/.test(rest) && isIP(rest) !== 6;
  const read = parseAddress(hasPort ? rest : `${rest}:6379`);
  if ('wrong' in read || read.value.port === 0) return { wrong: '' };
  return { value: { ...read.value, isTls: scheme.toLowerCase() === 'rediss' } };
}

/** What key names begin with. */
export function parseKeyPrefix(text: string): Parsed<string> {
  return /^[A-Za-z0-9._:-]{0,64}$/.test(text) ? { value: text } : { wrong: 'at most 64 characters' };
}
