import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { type ByHand, type Met, startByHand } from './by-hand.ts';
import { nameOf, pairs, speaksHttp2 } from './pairs.ts';

/** How long the news that one side has left may take to the other side. */
const LIMIT_MS = 50;
/** Times are taken so often and the middle one counts: another process may have had the processor at one of them. */
const TRIES = 7;

const post = { method: 'POST', hasBody: true } as const;

interface Point {
  readonly when: string;
  readonly isAnswered: boolean;
  /** Brings a request there. */
  readonly bring: (stage: ByHand, target: string) => Promise<Met>;
}

const points: readonly Point[] = [
  {
    when: 'while the answer is awaited',
    isAnswered: false,
    bring: async (stage, target) => {
      // No GET: that might be tried once more.
      const call = stage.open(target, post);
      call.body.end('all of it');
      const arrival = await stage.arrival(target);
      await once(arrival.body.resume(), 'end');
      return { call, arrival };
    },
  },
  {
    when: 'in the middle of an upload',
    isAnswered: false,
    bring: async (stage, target) => {
      const call = stage.open(target, post);
      call.body.write('some of it');
      const arrival = await stage.arrival(target);
      await once(arrival.body, 'data');
      return { call, arrival };
    },
  },
  {
    when: 'in the middle of the answer',
    isAnswered: true,
    bring: async (stage, target) => {
      const { call, arrival } = await stage.meet(target);
      arrival.start(200, []).write('some of it');
      await once((await call.head).body, 'data');
      return { call, arrival };
    },
  },
  {
    when: 'while both still send',
    isAnswered: true,
    bring: async (stage, target) => {
      const call = stage.open(target, post);
      call.body.write('some of it');
      const arrival = await stage.arrival(target);
      await once(arrival.body, 'data');
      arrival.start(200, []).write('some of it');
      await once((await call.head).body, 'data');
      return { call, arrival };
    },
  },
];

for (const pair of pairs) {
  describe(`Leaving, ${nameOf(pair)}`, { timeout: 60_000 }, () => {
    let stage: ByHand;
    before(async () => {
      stage = await startByHand(pair);
    });

    for (const [point, { when, isAnswered, bring }] of points.entries()) {
      it(`a client that leaves ${when} is gone for the upstream within ${LIMIT_MS} ms`, async () => {
        const took = await repeated(async (n) => {
          const { call, arrival } = await bring(stage, `/client/${point}/${n}`);
          const gone = new Promise<void>((told) => arrival.onGone(told));
          return timed(() => call.cancel(), gone);
        });
        assert.ok(took < LIMIT_MS, `it took ${took} ms`);
      });

      it(`an upstream that breaks off ${when} has broken off for the client within ${LIMIT_MS} ms`, async () => {
        const took = await repeated(async (n) => {
          const { call, arrival } = await bring(stage, `/upstream/${point}/${n}`);
          const time = await timed(() => arrival.reset(), isAnswered ? call.ended : call.head);
          if (isAnswered) assert.equal(await call.ended, false, 'an answer that broke off is not whole');
          else assert.equal((await call.head).status, 502);
          call.cancel();
          return time;
        });
        assert.ok(took < LIMIT_MS, `it took ${took} ms`);
      });
    }
  });
}

describe('Leaving an upload that the upstream does not read, by a reset that says nothing is wrong', () => {
  // An upstream that reads nothing of an HTTP/1.1 connection does not hear of its end either.
  for (const pair of pairs.filter(({ client, upstream }) => speaksHttp2(client) && speaksHttp2(upstream))) {
    it(`is heard at the upstream within ${LIMIT_MS} ms, ${nameOf(pair)}`, async () => {
      const stage = await startByHand(pair);
      const took = await repeated(async (n) => {
        const call = stage.open(`/unread/${n}`, post);
        // More than is passed on, so that some of it waits at the gateway.
        call.body.write(Buffer.alloc(8 << 20));
        const arrival = await stage.arrival(`/unread/${n}`);
        arrival.body.pause();
        const gone = new Promise<void>((told) => arrival.onGone(told));
        return timed(() => call.leave(), gone);
      });
      assert.ok(took < LIMIT_MS, `it took ${took} ms`);
    });
  }
});

describe('Leaving one stream', () => {
  for (const pair of pairs.filter(({ client, upstream }) => speaksHttp2(client) && speaksHttp2(upstream))) {
    it(`leaves the others of both connections alone, ${nameOf(pair)}`, async () => {
      const stage = await startByHand(pair);
      const [left, stays] = await Promise.all([stage.meet('/left'), stage.meet('/stays')]);
      const gone = new Promise<void>((told) => left.arrival.onGone(told));
      left.call.cancel();
      await gone;
      stays.arrival.start(200, []).end('still here');
      assert.equal(String((await once((await stays.call.head).body, 'data'))[0]), 'still here');
      assert.equal(await stays.call.ended, true);
    });
  }
});

/** The middle one of so many measurements, in milliseconds. */
async function repeated(measure: (n: number) => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < TRIES; n++) times.push(await measure(n));
  return times.sort((a, b) => a - b)[Math.floor(TRIES / 2)] ?? Number.NaN;
}

async function timed(act: () => void, heard: Promise<unknown>): Promise<number> {
  const from = performance.now();
  act();
  await heard;
  return performance.now() - from;
}
