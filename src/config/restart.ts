import type { Config } from './config.ts';
import { fingerprint } from './fingerprint.ts';
import type { Mistake, Path } from './mistake.ts';

/** What is settled with the start of the process, and why. */
const settled: readonly { readonly path: Path; readonly of: (config: Config) => unknown; readonly why: string }[] = [
  { path: ['server', 'listen'], of: ({ server }) => server.listen, why: 'the port is open' },
  { path: ['server', 'admin'], of: ({ server }) => server.admin, why: 'the port is open' },
  { path: ['server', 'workers'], of: ({ server }) => server.workers, why: 'the processes are running' },
  {
    path: ['server', 'tls'],
    of: ({ server }) => server.tls !== undefined,
    why: 'a port speaks TLS or does not; other files of it are taken over',
  },
  {
    path: ['server', 'limits'],
    of: ({ server }) => server.limits,
    why: 'connections that are open have the limits that they were opened with',
  },
  { path: ['coordination'], of: ({ redis }) => redis !== undefined, why: 'what replicas share is found at the start' },
  {
    path: ['redis'],
    of: ({ redis }) => redis && [redis.at, redis.database, redis.keyPrefix],
    why: 'what replicas share is found at the start; passwords and files of certificates are taken over',
  },
  { path: ['revocations'], of: ({ revocations }) => revocations, why: 'what it asks for begins with the process' },
  {
    path: ['session'],
    of: ({ session }) => session,
    why: 'what is remembered of sessions and sign-outs is kept as long as they said at the start',
  },
];

/** What of new settings only a restart can bring: each setting with a sentence. */
export function needsRestart(before: Config, after: Config): readonly Mistake[] {
  return settled
    .filter(({ of }) => fingerprint([of(before)]) !== fingerprint([of(after)]))
    .map(({ path, why }) => ({
      path,
      expected: 'what it was when the process started',
      hint: `${why}; restart to change it`,
    }));
}
