import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import { talk } from '../forward/front.ts';
import { createStage, until } from '../forward/stage.ts';

const stage = createStage();
after(stage.close);

const PLACES = 4;
const AT_ONCE = 90;
const plain = 'GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

/** A service that nobody can connect to until the test says so. */
function slowService() {
  const found = Promise.withResolvers<readonly string[]>();
  return {
    lookup: () => found.promise.then((addresses) => [...addresses]),
    appear: () => found.resolve(['127.0.0.1']),
  };
}

function askAndLeave(session: ClientHttp2Session): () => void {
  const streams = Array.from({ length: AT_ONCE }, () => session.request({ ':path': '/', ':method': 'POST' }));
  for (const stream of streams) stream.on('error', () => undefined).write('some of it');
  return () => {
    for (const stream of streams) stream.close(8);
  };
}

describe('callers who come and go while no connection to the service opens', { timeout: 20_000 }, () => {
  for (const isPublic of [false, true]) {
    it(`leave no more behind than there are places${isPublic ? ' for strangers' : ''}, until it opens`, async () => {
      const upstream = await stage.raw((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
      const { lookup, appear } = slowService();
      const targets = [{ host: 'slow.test', port: upstream.port }];
      const door = await stage.front({
        upstream: { targets, maxConnections: PLACES, connectTimeoutMs: 10_000 },
        lookup,
        isPublic: () => isPublic,
      });
      const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
      after(() => session.destroy());
      const places = isPublic ? PLACES / 4 : PLACES;
      for (let round = 1; round <= 5; round += 1) {
        const leave = askAndLeave(session);
        await until(() => door.state().inFlight === places, session);
        leave();
        // Whoever has no place is forgotten at once; those that have one are of the first round.
        await until(() => door.outcomes.length === round * AT_ONCE - places, session);
        assert.equal(door.state().inFlight, places);
      }
      appear();
      await until(() => door.outcomes.length === 5 * AT_ONCE && door.state().inFlight === 0, session);
      assert.match(await talk(door.http1Port, plain), /^HTTP\/1\.1 204 /);
      assert.ok(upstream.received.every((text) => text === '' || text.startsWith('GET /next ')));
    });
  }
});
