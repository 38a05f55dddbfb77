import { createServer } from 'node:net';

// Below the ports that systems give to connections on their way out (Linux from 32768, others from 49152): one of those is
// gone again, on a busy machine, before the program that it is meant for has opened it. Processes begin apart.
const [first, last] = [10_000, 30_000];
let next = first + ((process.pid * 41) % (last - first));

/** A port that was free a moment ago, for programs that cannot ask the system for one themselves; never the same twice soon. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < last - first; tries += 1) {
    const port = next;
    next = port + 1 < last ? port + 1 : first;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
