import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import type { Millis } from '../../src/config/units.ts';
import type { Facts, Log } from '../../src/observe/log.ts';
import { attempt, createContain } from '../../src/server/contain.ts';
import type { Entrance } from '../../src/server/entrance.ts';
import { createHttp1, type Protocol, type ProtocolNeeds } from '../../src/server/http1.ts';
import { createHttp2 } from '../../src/server/http2.ts';
import { createSharedPort } from '../../src/server/shared-port.ts';
import { closeCode, openSession } from './http2-client.ts';
import { openPort, roomyLimits } from './port.ts';
import { exchangeRaw, statusesIn } from './raw-connection.ts';
import { connectFrames } from './raw-http2.ts';

const mistake = new Error('a mistake of ours');

function fail(): never {
  throw mistake;
}

/** A log that keeps what it is told, but for what `fails`. */
function keepingLog(fails: (event: string) => boolean = () => false) {
  const events: Array<{ event: string; facts: Facts }> = [];
  const note = (event: string, facts: Facts = {}) => {
    if (fails(event)) fail();
    events.push({ event, facts });
  };
  return { log: { debug: note, info: note, warn: note, error: note } satisfies Log, events };
}

describe('a contained listener', () => {
  it('is called with what it listens to, and nothing else happens while it does not throw', () => {
    const { log, events } = keepingLog();
    const heard: unknown[] = [];
    createContain(log)((first: unknown, second: unknown) => void heard.push([first, second]), fail)(1, 'two');
    assert.deepEqual({ heard, events }, { heard: [[1, 'two']], events: [] });
  });

  it('never throws: what it was about is ended, and the mistake is in the log', () => {
    const { log, events } = keepingLog();
    const ended: unknown[] = [];
    createContain(log)(
      (_first: unknown, _second: unknown) => fail(),
      (...args) => void ended.push(args),
    )(1, 'two');
    assert.deepEqual(ended, [[1, 'two']]);
    assert.deepEqual(
      events.map(({ event, facts }) => [event, facts['cause']]),
      [['request.crashed', mistake]],
    );
  });

  it('is in the log also when its end fails, and ended also when the log fails', () => {
    const { log, events } = keepingLog();
    createContain(log)(fail, fail)();
    assert.equal(events.length, 1);
    let isEnded = false;
    createContain(keepingLog(() => true).log)(fail, () => {
      isEnded = true;
    })();
    assert.ok(isEnded);
  });
});

describe('the last attempt at something', () => {
  it('never throws', () => assert.doesNotThrow(() => attempt(fail)));
});

const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
const handshake = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

describe('a mistake of ours in a callback', () => {
  /** Serves connections by one protocol whose entrance throws. */
  async function openBroken(
    create: (needs: ProtocolNeeds) => Protocol,
    { fails, idleMs = 65_000 }: { fails?: (event: string) => boolean; idleMs?: Millis } = {},
  ) {
    const entrance: Entrance = { pass: fail, refuse: fail };
    const { log, events } = keepingLog(fails);
    const protocol = create({
      limits: { ...roomyLimits, idleMs },
      encrypted: false,
      entrance,
      newReference: () => 'ref',
      log,
    });
    const server = createServer({ allowHalfOpen: true }, (socket: Socket) => protocol.accept(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    after(() => {
      server.close();
      protocol.close();
    });
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    return { host: '127.0.0.1', port: address.port, events };
  }

  for (const [name, bytes] of Object.entries({
    'while a request is passed on': get,
    'while a request is refused': get.replace('GET', 'TRACE'),
    'while an expectation is refused': get.replace('\r\n\r\n', '\r\nExpect: the-unexpected\r\n\r\n'),
    'while a handshake is passed on': handshake,
    'while CONNECT is refused': 'CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n',
  })) {
    it(`closes the connection and nothing else: ${name}`, async () => {
      const port = await openBroken(createHttp1);
      assert.equal(await exchangeRaw(port, bytes), '');
      assert.equal(await exchangeRaw(port, bytes), '');
      assert.deepEqual(
        port.events.map(({ event, facts }) => [event, facts['cause']]),
        [
          ['request.crashed', mistake],
          ['request.crashed', mistake],
        ],
      );
    });
  }

  it('closes the connection and nothing else: while a broken request is answered', async () => {
    const port = await openBroken(createHttp1, { fails: (event) => event === 'connection.broken' });
    assert.equal(await exchangeRaw(port, 'NONSENSE\r\n\r\n'), '');
    assert.equal(port.events[0]?.event, 'request.crashed');
  });

  it('closes the stream with INTERNAL_ERROR, and the connection goes on', async () => {
    const port = await openBroken(createHttp2);
    const session = openSession(port.port);
    for (const method of ['GET', 'TRACE', 'POST']) {
      assert.equal(await closeCode(session.request({ ':method': method, ':path': '/' })), 2);
    }
    assert.equal(session.destroyed, false);
    assert.equal(port.events.length, 3);
  });

  it('closes an HTTP/2 connection that cannot be welcomed', async () => {
    const port = await openBroken(createHttp2, { idleMs: -1 });
    const connection = await connectFrames(port);
    await connection.ended();
    assert.equal(port.events[0]?.event, 'request.crashed');
  });

  it('closes a connection that its protocol cannot take', async () => {
    const { log, events } = keepingLog();
    const port = createSharedPort({
      listen: { host: '127.0.0.1', port: 0 },
      limits: roomyLimits,
      log,
      onHttp1: fail,
      onHttp2: fail,
    });
    after(() => port.shut());
    const address = await port.open();
    assert.equal(await exchangeRaw(address, get), '');
    assert.equal(await exchangeRaw(address, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), '');
    assert.deepEqual(
      events.map(({ event }) => event),
      ['request.crashed', 'request.crashed'],
    );
  });

  it('closes the connection of a request that nobody can tell whether it stands still', async () => {
    let asked = 0;
    const failOnce = () => {
      asked += 1;
      return asked === 1 ? fail() : false;
    };
    const port = await openPort({
      handler: async ({ wire }) => {
        if (wire.kind !== 'http1') return;
        Object.defineProperty(wire.response, 'headersSent', { get: failOnce });
      },
      limits: { bodyIdleMs: 60 },
    });
    assert.equal(await exchangeRaw(port, 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc'), '');
    assert.ok(port.events.some(({ event }) => event === 'request.crashed'));
  });

  it('is answered 500 when somebody who is told of a refusal throws', async () => {
    const port = await openPort({ onRefused: fail });
    const answer = await exchangeRaw(port, get.replace('GET', 'TRACE'));
    assert.deepEqual(statusesIn(answer), [500]);
    assert.match(answer, /connection: close/i);
    assert.ok(port.events.some(({ event }) => event === 'request.crashed'));
  });
});
