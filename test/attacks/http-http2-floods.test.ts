import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertOthersAreServed } from '../server/http2-client.ts';
import { answerTarget, openPort } from '../server/port.ts';
import * as h2 from '../server/raw-http2.ts';

describe('a flood of HTTP/2 frames ends its own connection only', () => {
  it('of requests that are reset at once, and the handler sees a bounded number of them', async () => {
    const port = await openPort();
    const flood = await h2.connectFrames(port);
    for (const id of h2.requestIds(5000)) {
      flood.send(Buffer.concat([h2.requestFrame(id), h2.frame(h2.RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8]))]));
    }
    await flood.ended();
    assert.ok(port.seen.length <= 1200, `${port.seen.length} requests`);
    await assertOthersAreServed(port);
  });

  it('of requests that are reset while the handler still works on them', async () => {
    const port = await openPort({
      limits: { streamsPerConnection: 10 },
      handler: (exchange) => {
        if (exchange.head.target !== '/') return answerTarget(exchange);
        return new Promise(() => {});
      },
    });
    const flood = await h2.connectFrames(port);
    for (const id of h2.requestIds(500)) {
      flood.send(Buffer.concat([h2.requestFrame(id), h2.frame(h2.RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8]))]));
      if (id % 20 === 1) await new Promise(setImmediate);
    }
    flood.send(h2.frame(h2.PING, 0, 0, Buffer.from('all sent')));
    await flood.until('all sent');
    assert.ok(port.seen.length <= 20, `${port.seen.length} in hand at once`);
    await assertOthersAreServed(port);
  });

  for (const [name, bytes] of Object.entries({
    'of CONTINUATION frames': Buffer.concat([
      h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.fieldBlock(h2.plainGet)),
      h2.repeat(h2.frame(h2.CONTINUATION, 0, 1, h2.fieldBlock([['x', 'y']])), 20_000),
    ]),
    'of empty CONTINUATION frames': Buffer.concat([
      h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.fieldBlock(h2.plainGet)),
      h2.repeat(h2.frame(h2.CONTINUATION, 0, 1), 20_000),
    ]),
    'of frames that break the protocol': h2.repeat(h2.frame(h2.WINDOW_UPDATE, 0, 0, Buffer.alloc(4)), 20_000),
    'of requests with an invalid field': Buffer.concat(
      h2.requestIds(2000).map((id) => h2.requestFrame(id, [...h2.plainGet, ['connection', 'close']])),
    ),
    'of settings in one frame': h2.frame(h2.SETTINGS, 0, 0, h2.repeat(Buffer.from([0, 3, 0, 0, 0, 1]), 2000)),
  })) {
    it(name, async () => {
      const port = await openPort();
      const flood = await h2.connectFrames(port);
      flood.send(bytes);
      await flood.ended();
      assert.equal(port.seen.length, 0);
      await assertOthersAreServed(port);
    });
  }

  for (const [name, one] of Object.entries({
    PING: h2.frame(h2.PING, 0, 0, Buffer.alloc(8)),
    SETTINGS: h2.frame(h2.SETTINGS, 0, 0, Buffer.from([0, 3, 0, 0, 0, 1])),
  })) {
    it(`of ${name} frames whose acknowledgements nobody reads`, async () => {
      const port = await openPort();
      const flood = await h2.connectFrames(port);
      flood.socket.pause();
      // The acknowledgements of so many fill every buffer on the way.
      for (let i = 0; i < 600 && !flood.socket.destroyed; i++) {
        flood.send(h2.repeat(one, 2000));
        await new Promise(setImmediate);
      }
      await flood.ended();
      await assertOthersAreServed(port);
    });
  }
});
