import { createConnection, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A port of 127.0.0.1 that was free a moment ago, for programs that cannot ask the system for one or do not say which they got. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const at = probe.address();
      probe.close(() => resolve(typeof at === 'object' && at ? at.port : 0));
    });
  });
}

/**
 * Waits until somebody listens on a port of 127.0.0.1.
 *
 * @param who named when nobody does within some seconds
 * @throws {Error} then
 */
export async function listening(port: number, who: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await answers(port)) return;
    await pause(10);
  }
  throw new Error(`${who} did not listen in time`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Not yet.
    socket.once('error', () => resolve(false));
  });
}
