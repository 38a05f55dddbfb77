import type { Mistake } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';

/** What is wrong between the number of processes and what they would have to share. */
export function* checkWorkers(draft: SettingsDraft): Iterable<Mistake> {
  const { workers } = draft.server;
  if (workers === undefined || workers === 1 || isShared(draft)) return;
  const path = ['server', 'workers'];
  const hint =
    draft.session.store === 'memory'
      ? 'sessions in memory are known to the process alone that made them'
      : 'processes that share nothing know nothing of each other’s sign-outs, and spend refresh tokens twice';
  yield { path, expected: '1 where processes share nothing', found: String(workers), hint };
}

/** Whether sign-outs and renewals are known to all processes. */
function isShared({ session, coordination }: SettingsDraft): boolean {
  return session.store === 'redis' || coordination === 'redis';
}
