import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import type { Exchange } from '../../src/server/exchange.ts';
import { openPort } from '../server/port.ts';

/** More than is kept of a body that nobody reads. */
const BODY = Buffer.alloc(150_000);

const streamOf = ({ wire }: Exchange) => (wire.kind === 'http2' ? wire.stream : assert.fail('no stream'));
const reply = { status: 413, fields: [], body: 'too much' } as const;

/** How an exchange comes to its end with a body that was begun, and held back. */
const ends: Readonly<Record<string, (caller: ClientHttp2Stream, exchange: Exchange) => Promise<void> | void>> = {
  'was answered': (_caller, exchange) => exchange.send(reply),
  'was reset, saying that nothing is wrong': async (caller, exchange) => {
    const aborted = once(streamOf(exchange), 'aborted');
    caller.close(0);
    await aborted;
  },
  'was answered and reset at once, saying that nothing is wrong': async (caller, exchange) => {
    const answered = once(caller, 'response');
    exchange.send(reply);
    await answered;
    caller.close(0);
  },
};

describe('An HTTP/2 request whose body is held back', { timeout: 20_000 }, () => {
  for (const [how, end] of Object.entries(ends)) {
    it(`leaves nothing of it in memory when it ${how}`, async () => {
      const begun = Promise.withResolvers<Exchange>();
      const over = Promise.withResolvers<void>();
      const port = await openPort({
        handler: (exchange) => {
          const stream = streamOf(exchange);
          stream.once('data', () => {
            stream.pause();
            begun.resolve(exchange);
          });
          return over.promise;
        },
      });
      const session = connectHttp2(`http://127.0.0.1:${port.port}`);
      after(() => session.destroy());
      const caller = session.request({ ':method': 'POST', ':path': '/' });
      caller.on('error', () => undefined).resume();
      caller.write(BODY);
      const exchange = await begun.promise;
      const closed = once(streamOf(exchange), 'close');
      await end(caller, exchange);
      over.resolve();
      await closed;
    });
  }
});
