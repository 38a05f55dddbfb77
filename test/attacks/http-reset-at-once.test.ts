import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { Handler } from '../../src/server/exchange.ts';
import { assertOthersAreServed } from '../server/http2-client.ts';
import { answerTarget, type OpenPort, openPort } from '../server/port.ts';
import * as h2 from '../server/raw-http2.ts';

const post = [[':method', 'POST'], ...h2.plainGet.slice(1)] as const;
const expecting = [...post, ['expect', '100-continue']] as const;

function open(fields: ReadonlyArray<readonly [string, string]>): Buffer {
  return h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.fieldBlock(fields));
}

function reset(code: number): Buffer {
  return h2.frame(h2.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, code]));
}

/** Nothing was thrown on the way: what throws is contained, but logged. */
function assertUnharmed(port: OpenPort): void {
  assert.deepEqual(
    port.events.filter(({ event }) => event === 'request.crashed'),
    [],
  );
}

describe('a request that its caller resets in the packet that brings it', () => {
  const body = h2.frame(h2.DATA, 0, 1, Buffer.from('body'));
  for (const [name, request] of Object.entries({
    'without a body': h2.requestFrame(1),
    'before its body': open(post),
    'in the middle of its body': Buffer.concat([open(post), body]),
    'while it asks whether the body may come': open(expecting),
    'while it asks, and sends the body nevertheless': Buffer.concat([open(expecting), body]),
    'with an expectation that nobody can meet': open([...post, ['expect', 'the-unexpected']]),
    'with a method that is refused': open([[':method', 'TRACE'], ...h2.plainGet.slice(1)]),
  })) {
    for (const code of [0, 2, 8]) {
      it(`${name}, with code ${code}, reaches nobody; the connection goes on and can be closed`, async () => {
        const port = await openPort();
        const connection = await h2.connectFrames(port);
        connection.send(Buffer.concat([request, reset(code), h2.requestFrame(3)]));
        await connection.until('GET /');
        assert.equal(port.seen.length, 1);
        assertUnharmed(port);
        await assertOthersAreServed(port);
        // A connection on its way out waits for every stream: none is left behind.
        port.listener.drain();
        await connection.ended();
      });
    }
  }
});

describe('a request whose caller resets it without an error, while bytes of its body are unread', () => {
  for (const [name, answer] of Object.entries<Handler>({
    'is not answered any more': answerTarget,
    'is not answered by a mistake either': () => {
      throw new TypeError('a mistake of the handler');
    },
  })) {
    it(name, async () => {
      const outcome = Promise.withResolvers<{ isGone: boolean; destroyed: boolean }>();
      const port = await openPort({
        handler: async (exchange) => {
          if (exchange.wire.kind !== 'http2' || exchange.head.target !== '/') return answerTarget(exchange);
          const { stream } = exchange.wire;
          stream.pause();
          assert.equal(exchange.isGone, false);
          while (!stream.closed) await new Promise(setImmediate);
          outcome.resolve({ isGone: exchange.isGone, destroyed: stream.destroyed });
          return answer(exchange);
        },
      });
      const connection = await h2.connectFrames(port);
      connection.send(Buffer.concat([open(post), h2.frame(h2.DATA, 0, 1, Buffer.from('body'))]));
      while (port.seen.length === 0) await new Promise(setImmediate);
      connection.send(reset(0));
      // Closed, yet not destroyed: what Node throws at whoever answers such a stream is no answer.
      assert.deepEqual(await outcome.promise, { isGone: true, destroyed: false });
      connection.send(h2.frame(h2.PING, 0, 0, Buffer.from('all sent')));
      await connection.until('all sent');
      const causes = port.events.filter(({ event }) => event === 'request.crashed').map(({ facts }) => facts['cause']);
      assert.deepEqual(causes.map(String), answer === answerTarget ? [] : ['TypeError: a mistake of the handler']);
      await assertOthersAreServed(port);
    });
  }
});

describe('a caller that asks whether its body may come', () => {
  it('is told so in HTTP/2 while it is there', async () => {
    const port = await openPort();
    const connection = await h2.connectFrames(port);
    connection.send(open(expecting));
    const headFrames = () => h2.framesIn(connection.received()).filter(h2.isFor(h2.HEADERS, 1));
    while (headFrames().length < 2) await once(connection.socket, 'data');
    assertUnharmed(port);
  });
});
