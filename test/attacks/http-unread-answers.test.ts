import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import type { Exchange } from '../../src/server/exchange.ts';
import { countWritten } from '../../src/server/written.ts';
import { createStage } from '../forward/stage.ts';
import { openPort } from '../server/port.ts';

const stage = createStage();
after(stage.close);

/** A caller that has room for nothing, and goes on talking. */
function stuffed(port: number) {
  const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  const chatter = setInterval(() => void (session.destroyed || session.ping(() => undefined)), 20);
  stage.onClose(() => {
    clearInterval(chatter);
    session.destroy();
  });
  return session;
}

// Nobody who asks has to be known for it: pages that turn away, and faults, are answered at once.
describe('an HTTP/2 caller that takes nothing of an answer, on a connection that is busy', { timeout: 10_000 }, () => {
  it('is reset when the answer is still being made', async () => {
    const done = Promise.withResolvers<void>();
    const port = await openPort({
      limits: { bodyIdleMs: 100 },
      handler: ({ wire }) => {
        assert.ok(wire.kind === 'http2');
        wire.stream.respond({ ':status': 200 });
        wire.stream.write(Buffer.alloc(100_000));
        return done.promise;
      },
    });
    const stream = stuffed(port.port).request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.resume();
    await once(stream, 'close');
    assert.equal(stream.rstCode, 8);
    done.resolve();
  });

  it('goes on as long as it takes some of it', async () => {
    const done = Promise.withResolvers<void>();
    const port = await openPort({
      limits: { bodyIdleMs: 60 },
      handler: ({ wire }) => {
        assert.ok(wire.kind === 'http2');
        const { stream } = wire;
        stream.respond({ ':status': 200 });
        // Always as much as before waits, when it is looked at.
        const more = () => {
          if (stream.closed) return;
          countWritten(stream, 50);
          stream.write(Buffer.alloc(50), more);
        };
        more();
        more();
        return done.promise;
      },
    });
    const session = stuffed(port.port);
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.resume();
    await once(stream, 'response');
    const end = performance.now() + 500;
    let room = 0;
    while (performance.now() < end) {
      room += 50;
      session.settings({ initialWindowSize: room });
      await once(session, 'localSettings');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(stream.closed, false);
    stream.close();
    done.resolve();
  });

  for (const [what, path, fields] of [
    ['the handler’s', '/', {}],
    ['a refusal’s', '/', { expect: 'a miracle' }],
  ] as const)
    it(`is reset when the answer was complete at once: ${what}`, async () => {
      const seen: Exchange[] = [];
      const port = await openPort({
        limits: { bodyIdleMs: 100 },
        handler: (exchange) => {
          seen.push(exchange);
          exchange.send({ status: 401, fields: [], body: 'x'.repeat(1000) });
        },
      });
      const session = stuffed(port.port);
      await once(session, 'connect');
      const stream = session.request({ ':path': path, ...fields });
      stream.on('error', () => undefined);
      stream.resume();
      await once(stream, 'close');
      assert.equal(stream.rstCode, 8);
    });
});
