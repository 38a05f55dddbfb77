import type { RedisSettings } from '../../src/config/config.ts';
import { createRedis, type Redis } from '../../src/redis/redis.ts';
import { createTestLog } from '../oidc/rig.ts';
import type { RedisServer } from './redis-server.ts';

/** A connection to a Redis of tests, as a gateway has it. */
export function connectRedis(server: RedisServer, role: 'commands' | 'listener', changes: Partial<RedisSettings> = {}) {
  const settings = server.settings(changes);
  const metrics = { redisFailure: () => undefined };
  const redis = createRedis({ settings: () => settings, role, log: createTestLog().log, metrics });
  void redis.start();
  return redis;
}

/** Waits for a connection that stands. */
export async function untilUp(redis: Redis): Promise<void> {
  if (redis.state.isUp) return;
  await new Promise<void>((resolve) => {
    const stop = redis.onUp(() => {
      stop();
      resolve();
    });
  });
}
