import type { RedisAddress, RedisSettings } from '../config/config.ts';
import { type Link, openLink } from './link.ts';

/**
 * Connects to the primary: itself, or as the first sentinel to answer says. A sentinel may be behind the times; what turns
 * out to be a replica refuses to write, and is asked for again.
 *
 * @returns a connection that has answered. Rejects with whatever stood in the way
 */
export async function openPrimary(settings: RedisSettings): Promise<Link> {
  const { tls, username, password, database, connectTimeoutMs: timeoutMs } = settings;
  const address = await findPrimary(settings);
  return openLink({
    ...{ address, tls, database, timeoutMs },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  });
}

async function findPrimary({ at, tls, sentinelPassword, connectTimeoutMs }: RedisSettings): Promise<RedisAddress> {
  if (at.kind === 'primary') return at.address;
  const password = sentinelPassword === undefined ? {} : { password: sentinelPassword };
  const asked = at.addresses.map(async (address) => {
    const sentinel = await openLink({ address, tls, timeoutMs: connectTimeoutMs, ...password });
    try {
      return readAddress(await sentinel.send(['SENTINEL', 'get-master-addr-by-name', at.name], false), address.isTls);
    } finally {
      sentinel.close();
    }
  });
  // All at once: a dead one would cost its whole time-out.
  return Promise.any(asked);
}

function readAddress(reply: unknown, isTls: boolean): RedisAddress {
  const [host, port] = Array.isArray(reply) ? reply : [];
  if (typeof host !== 'string' || !/^\d+$/.test(String(port)))
    throw new Error('the sentinel knows no primary of that name');
  return { host, port: Number(port), isTls };
}
