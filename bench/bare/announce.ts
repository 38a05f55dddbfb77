import type { Server } from 'node:net';

/** Tells whoever started this process where the server listens, and ends it in order, so that profiles get written. */
export function announce(server: Pick<Server, 'address'>): void {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('listening on something without a port');
  process.once('SIGTERM', () => process.exit(0));
  process.stdout.write(`listens on ${address.port}\n`);
}
