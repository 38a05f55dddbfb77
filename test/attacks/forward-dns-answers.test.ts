import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { portOf, talk } from '../forward/front.ts';
import { createNamed, createRaw, createWatchedLog, listenOn } from '../forward/places.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
after(stage.close);

const get = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

async function serve(create: () => ReturnType<typeof createRaw>): Promise<number> {
  const [server] = await listenOn(['127.0.0.1'], create);
  assert.ok(server);
  stage.onClose(() => {
    server.close();
    for (const socket of server.sockets) socket.destroy();
  });
  return portOf(server);
}

async function front(port: number, answer: readonly string[]) {
  const watched = createWatchedLog();
  const door = await stage.front({
    upstream: { targets: [{ host: 'svc.test', port }], connectTimeoutMs: 500 },
    log: watched.log,
    lookup: async () => answer,
  });
  return { door, watched };
}

describe('a DNS that answers strangely', () => {
  it('with a thousand addresses makes 64 of them', async () => {
    const port = await serve(() => createNamed('x'));
    const many = Array.from({ length: 1000 }, (_, i) => `127.0.${i >> 8}.${(i & 255) + 1}`);
    const { door, watched } = await front(port, many);
    await watched.written('upstream.resolved');
    const [facts] = watched.facts;
    assert.ok(Array.isArray(facts?.['addresses']));
    assert.deepEqual([facts['addresses'].length, facts['answered']], [64, 1000]);
    // One of them is there: the others are passed by, at the cost of one retry each.
    const answers = await Promise.all(Array.from({ length: 200 }, () => talk(door.http1Port, get)));
    assert.ok(answers.some((answer) => answer.endsWith('x')));
    assert.match(await talk(door.http1Port, get), /x$/);
  });

  for (const [what, answer] of [
    ['nothing', []],
    ['the unspecified address', ['0.0.0.0', '::']],
  ] as const) {
    it(`with ${what} names nobody: this host is never taken for the service`, async () => {
      const port = await serve(() => createNamed('somebody else here'));
      const { door, watched } = await front(port, answer);
      await watched.written('upstream.resolve_failed');
      assert.match(await talk(door.http1Port, get), /upstream_unreachable$/);
    });
  }
});

describe('an upstream that accepts connections and closes them at once', () => {
  it('costs each request two connections, never more', async () => {
    let connections = 0;
    const port = await serve(() =>
      createRaw((socket) => {
        connections += 1;
        socket.destroy();
      }),
    );
    const door = await stage.front({ upstream: { port }, pauses: { firstMs: 60_000, longestMs: 60_000 } });
    for (let i = 0; i < 10; i += 1) assert.match(await talk(door.http1Port, get), /upstream_(broken|unreachable)$/);
    assert.ok(connections <= 20, `${connections} connections`);
    const h2c = await stage.front({
      upstream: { port, protocol: 'h2c' },
      pauses: { firstMs: 60_000, longestMs: 60_000 },
    });
    connections = 0;
    for (let i = 0; i < 10; i += 1) assert.match(await talk(h2c.http1Port, get), /upstream_(broken|unreachable)$/);
    assert.ok(connections <= 20, `${connections} connections`);
  });

  it('beside a good one costs nobody an answer', async () => {
    let connections = 0;
    const cutting = await serve(() =>
      createRaw((socket) => {
        connections += 1;
        socket.destroy();
      }),
    );
    const good = await serve(() => createNamed('good'));
    const watched = createWatchedLog();
    const targets = [cutting, good].map((port) => ({ host: '127.0.0.1', port }));
    const pauses = { firstMs: 60_000, longestMs: 60_000 };
    const door = await stage.front({ upstream: { targets }, log: watched.log, pauses });
    for (let i = 0; i < 12; i += 1) assert.match(await talk(door.http1Port, get), /good$/);
    assert.deepEqual(watched.events, ['upstream.address_ejected']);
    assert.equal(connections, 3);
  });
});
