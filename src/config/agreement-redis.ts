import type { Mistake } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';

/** What is wrong between the settings of Redis, and with those that need one. */
export function* checkRedis(draft: SettingsDraft): Iterable<Mistake> {
  const { redis, session, coordination, revocations } = draft;
  const isShared = session.store === 'redis' || coordination === 'redis';
  const { name, addresses } = redis.sentinel;
  const hasSentinel = name !== undefined || (addresses?.length ?? 0) > 0;
  if (isShared && !redis.url && !hasSentinel) {
    const hint = `${session.store === 'redis' ? 'session.store' : 'coordination'}: redis needs one`;
    yield { path: ['redis', 'url'], expected: 'the address of a Redis, or redis.sentinel', found: 'nothing', hint };
  }
  if (redis.url && hasSentinel)
    yield { path: ['redis', 'url'], expected: 'redis.url or redis.sentinel, not both', found: 'both' };
  if (hasSentinel && (!name || addresses?.length === 0)) {
    const missing = name ? 'addresses' : 'name';
    yield { path: ['redis', 'sentinel', missing], expected: 'name and addresses together', found: 'nothing' };
  }
  if (new Set(addresses?.map(({ isTls }) => isTls)).size > 1)
    yield { path: ['redis', 'sentinel', 'addresses'], expected: 'redis:// or rediss://, all the same', found: 'both' };
  if (Boolean(redis.tls.certFile) !== Boolean(redis.tls.keyFile)) {
    const missing = redis.tls.certFile ? 'keyFile' : 'certFile';
    yield { path: ['redis', 'tls', missing], expected: 'certFile and keyFile together, or neither', found: 'nothing' };
  }
  if (revocations === 'required' && !isShared)
    yield {
      path: ['revocations'],
      expected: 'best-effort where nothing is shared',
      found: revocations,
      hint: 'a process alone knows its own sign-outs and no others: set coordination: redis',
    };
}
