import assert from 'node:assert/strict';
import { type Front, type FrontNeeds, startFront } from './front.ts';
import { type RawUpstream, startRawUpstream } from './raw-upstream.ts';

/** Doors and upstreams that end together with the tests that used them. */
export interface Stage {
  front(needs: FrontNeeds): Promise<Front>;
  raw(onHead: Parameters<typeof startRawUpstream>[0]): Promise<RawUpstream>;
  /** A door in front of an upstream that gives every request the same bytes. */
  answering(bytes: string, needs?: Partial<FrontNeeds>): Promise<{ door: Front; upstream: RawUpstream }>;
  onClose(close: () => Promise<void> | void): void;
  close(): Promise<void>;
}

export function createStage(): Stage {
  const closers: (() => Promise<void> | void)[] = [];
  const front = async (needs: FrontNeeds) => {
    const started = await startFront(needs);
    closers.push(started.close);
    return started;
  };
  const raw: Stage['raw'] = async (onHead) => {
    const started = await startRawUpstream(onHead);
    closers.push(started.close);
    return started;
  };
  return {
    front,
    raw,
    answering: async (bytes, needs = {}) => {
      const upstream = await raw((socket) => socket.write(Buffer.from(bytes, 'latin1')));
      return { upstream, door: await front({ ...needs, upstream: { port: upstream.port, ...needs.upstream } }) };
    },
    onClose: (close) => closers.push(close),
    close: async () => {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

/** Waits for bytes to arrive somewhere, turn by turn; a lost connection ends the wait. */
export async function until(isSo: () => boolean, lifeline: { destroyed: boolean }): Promise<void> {
  while (!isSo()) {
    assert.ok(!lifeline.destroyed, 'the connection ended before it came to that');
    await new Promise(setImmediate);
  }
}
