import { connect, createServer, type Server, type Socket } from 'node:net';
import { endLater } from '../flows/rig.ts';

/** A way to another port that can be cut and mended. */
export interface Cable {
  cut(): Promise<void>;
  mend(): Promise<void>;
}

/** Leads from one port of 127.0.0.1 to another; ends with the test file. */
export async function layCable(from: number, to: number): Promise<Cable> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const cut = async () => {
    const old = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (old) await new Promise((resolve) => old.close(resolve));
  };
  const mend = () =>
    new Promise<void>((resolve, reject) => {
      server = createServer((caller) => {
        const onward = connect(to, '127.0.0.1');
        for (const [one, other] of [
          [caller, onward],
          [onward, caller],
        ] as const) {
          sockets.add(one);
          one.once('close', () => sockets.delete(one));
          // One end that breaks takes the other along.
          one.on('error', () => other.destroy());
          one.pipe(other);
        }
      });
      server.once('error', reject);
      server.listen(from, '127.0.0.1', resolve);
    });
  await mend();
  endLater(cut);
  return { cut, mend };
}
