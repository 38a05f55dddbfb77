import { resolve } from 'node:path';
import type { Config, RedisSettings } from './config.ts';
import type { Settings } from './schema.ts';
import type { Secrets } from './secret-files.ts';

/** Redis, where sessions or coordination use it. */
export function assembleRedis(settings: Settings, secrets: Secrets, folder: string): Pick<Config, 'redis'> {
  const { redis, session, coordination } = settings;
  const at = placeOf(redis);
  if ((session.store !== 'redis' && coordination !== 'redis') || !at) return {};
  const { redisPassword: password, sentinelPassword } = secrets;
  return {
    redis: {
      at,
      database: redis.database,
      ...(redis.username && { username: redis.username }),
      ...(password && { password }),
      ...(sentinelPassword && { sentinelPassword }),
      tls: tlsOf(redis.tls, folder),
      keyPrefix: redis.keyPrefix,
      connectTimeoutMs: redis.connectTimeout,
      commandTimeoutMs: redis.commandTimeout,
    },
  };
}

function placeOf({ url, sentinel }: Settings['redis']): RedisSettings['at'] | undefined {
  if (sentinel.name) return { kind: 'sentinel', name: sentinel.name, addresses: sentinel.addresses };
  return url && { kind: 'primary', address: url };
}

function tlsOf(tls: Settings['redis']['tls'], folder: string): RedisSettings['tls'] {
  const { caFile, certFile, keyFile, serverName } = tls;
  return {
    ...(caFile && { caFile: resolve(folder, caFile) }),
    ...(certFile !== undefined &&
      keyFile !== undefined && {
        clientCertificate: { certFile: resolve(folder, certFile), keyFile: resolve(folder, keyFile) },
      }),
    ...(serverName && { serverName }),
  };
}
