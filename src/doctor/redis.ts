import type { RedisSettings } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import type { Link } from '../redis/link.ts';
import { openPrimary } from '../redis/primary.ts';
import { reasonOf } from '../redis/redis.ts';
import { shortly } from './error-code.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { remedyOfTls } from './judge-certificate.ts';

/** What may be done with a key of ours that nobody has: read it, write it, run a script, follow a stream. */
const tries = (key: string) => [
  ['GET', key],
  ['DEL', key],
  ['EVAL', "return redis.call('GET', KEYS[1])", '1', key],
  ['XREAD', 'COUNT', '1', 'STREAMS', key, '0-0'],
];

/**
 * Whether Redis, where the settings have one, can be used as the gateway uses it. Nothing is written: the key that is deleted
 * has a name that no gateway gives. Never throws.
 */
export async function checkRedis(
  settings: RedisSettings | undefined,
  { timeoutMs }: { readonly timeoutMs: Millis },
): Promise<readonly Finding[]> {
  if (!settings) return [ok('redis', 'none: replicas, if there are any, share nothing')];
  const where = whereIs(settings);
  const connectTimeoutMs = Math.min(settings.connectTimeoutMs, timeoutMs);
  let link: Link | undefined;
  try {
    link = await openPrimary({ ...settings, connectTimeoutMs });
    const { send } = link;
    const ask = (command: readonly string[]) => within(timeoutMs, send(command, false));
    for (const command of tries(`${settings.keyPrefix}doctor`)) await ask(command);
    // Safe: it needs a right that the gateway does not.
    const memory = await ask(['INFO', 'memory']).catch(() => undefined);
    return [judgeEviction(where, typeof memory === 'string' ? memory : '')];
  } catch (error) {
    return [judgeTrouble(where, error)];
  } finally {
    link?.close();
  }
}

/** What makes room in a full Redis signs people out by chance, unless it is nothing. Pure. */
function judgeEviction(where: string, memory: string): Finding {
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(memory)?.[1];
  if (policy === undefined)
    return ok('redis', `${where} gives the rights that are needed; its maxmemory-policy is not ours to see`);
  if (policy === 'noeviction') return ok('redis', `${where} gives the rights that are needed, and forgets nothing`);
  const says = `${where} has the maxmemory-policy ${policy}: when it is full it signs people out by chance`;
  return warning('redis', says, 'set maxmemory-policy noeviction');
}

const remedies: Readonly<Record<string, string>> = {
  WRONGPASS: 'compare redis.username and the secret file redis_password with what it knows',
  NOAUTH: 'it wants a password: put it into the secret file redis_password',
  NOPERM: 'give that user the rights of docs/operations.md, for the keys of redis.keyPrefix',
  READONLY: 'it is a replica: name the primary, or its sentinels',
  ECONNREFUSED: 'nobody listens there: start it, or compare redis.url',
  ENOTFOUND: 'no such name is known here: ask from where the gateway runs',
};

function judgeTrouble(where: string, error: unknown): Finding {
  // Of several sentinels each has its own; one is enough to begin with.
  const [first = error] = error instanceof AggregateError ? error.errors : [];
  const reason = reasonOf(first);
  const code = typeof reason === 'string' ? reason : shortly(reason);
  const remedy =
    remedies[code] ?? remedyOfTls(code) ?? 'compare redis in the settings, and ask from where the gateway runs';
  return problem('redis', `${where}: ${code}`, remedy);
}

function whereIs({ at }: RedisSettings): string {
  if (at.kind === 'primary') return `${at.address.host}:${at.address.port}`;
  return `${at.name}, as ${at.addresses.map(({ host, port }) => `${host}:${port}`).join(', ')} say,`;
}

async function within<T>(timeoutMs: Millis, answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
}
