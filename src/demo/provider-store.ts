import { LRUCache } from 'lru-cache';
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

/**
 * What the demo's provider remembers, in memory and bounded: gone with the process.
 *
 * @param max how many things at most; the least recently used go first
 */
export function createProviderStore(max = 10_000): AdapterFactory {
  const kept = new LRUCache<string, AdapterPayload>({ max });
  /** User codes and session uids, by which some things are also found. */
  const aliases = new LRUCache<string, string>({ max });
  /** Keys of everything that ends with a grant. */
  const grants = new LRUCache<string, Set<string>>({ max });
  return (kind) => adapterFor(kind, { kept, aliases, grants });
}

interface Store {
  readonly kept: LRUCache<string, AdapterPayload>;
  readonly aliases: LRUCache<string, string>;
  readonly grants: LRUCache<string, Set<string>>;
}

function adapterFor(kind: string, store: Store): Adapter {
  const keyOf = (id: string) => `${kind}:${id}`;
  const byAlias = async (alias: string) => store.kept.get(store.aliases.get(alias) ?? '');
  return {
    upsert: async (id, payload, expiresInS) => {
      const key = keyOf(id);
      store.kept.set(key, payload, expiresInS === undefined ? {} : { ttl: expiresInS * 1000 });
      if (payload.uid) store.aliases.set(`uid:${payload.uid}`, key);
      if (payload.userCode) store.aliases.set(`code:${payload.userCode}`, key);
      if (payload.grantId) store.grants.set(payload.grantId, (store.grants.get(payload.grantId) ?? new Set()).add(key));
    },
    find: async (id) => store.kept.get(keyOf(id)),
    findByUid: (uid) => byAlias(`uid:${uid}`),
    findByUserCode: (userCode) => byAlias(`code:${userCode}`),
    consume: async (id) => {
      const payload = store.kept.get(keyOf(id));
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    destroy: async (id) => {
      store.kept.delete(keyOf(id));
    },
    revokeByGrantId: async (grantId) => {
      for (const key of store.grants.get(grantId) ?? []) store.kept.delete(key);
      store.grants.delete(grantId);
    },
  };
}
