import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Handler } from '../../src/server/exchange.ts';
import { closeCode, openSession } from '../server/http2-client.ts';
import { answerTarget, type OpenPort, openPort } from '../server/port.ts';
import { connectRaw, exchangeRaw, statusesIn } from '../server/raw-connection.ts';

const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
const handshake = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** Begins the answer of a service, which cannot be written. */
function begin({ wire }: Exchange, [status, reason, fields]: readonly [number, string, readonly string[]]): void {
  assert.ok(wire.kind === 'http1');
  wire.response.sendDate = false;
  wire.response.writeHead(status, reason, [...fields]);
}

const poisons = {
  'a control character in the reason phrase': [403, '\x01bad', []],
  'a line break in the reason phrase': [403, 'a\r\nSet-Cookie: b=c', []],
  'a status that is none': [99, 'X', []],
  'a field that cannot be written, beside a status without a body': [204, 'Odd', ['X-A', '\x01']],
  'a field that cannot be written, after a transfer coding': [
    200,
    'Odd',
    ['Transfer-Encoding', 'chunked', 'X', '\x01'],
  ],
} as const;

describe('an answer of a service that cannot be written', () => {
  for (const [name, poison] of Object.entries(poisons)) {
    it(`leaves nothing in our own answer: ${name}`, async () => {
      const port = await openPort({
        handler: (exchange) => {
          assert.throws(() => begin(exchange, poison));
          exchange.send({ status: 502, fields: ['X-Ours', 'yes'], body: 'ours' });
        },
      });
      const connection = await connectRaw(port);
      connection.send(get + get);
      await connection.until('X-Ours');
      // Whatever may be left of it ends with the connection, at the latest.
      connection.socket.end();
      const answer = await connection.ended();
      assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\nX-Ours: yes\r\nContent-Length: 4\r\nDate: [^\r]+\r\n/);
      // Of a status without a body, Node keeps that there is none.
      if (poison[0] !== 204) assert.ok(answer.endsWith('\r\n\r\nours'), answer);
      assert.doesNotMatch(answer, /set-cookie|transfer-encoding|bad\r|Odd/i);
      if (name !== 'a status that is none') assert.match(answer, /connection: close/i);
      await assertServed(port);
    });

    it(`is a bare 500 when nobody catches it: ${name}`, async () => {
      for (const handler of [
        async (exchange) => begin(exchange, poison),
        (exchange) => begin(exchange, poison),
      ] satisfies Handler[]) {
        const port = await openPort({ handler });
        const answer = await exchangeRaw(port, get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
        assert.match(answer, /^HTTP\/1\.1 500 Internal Server Error\r\n/);
        assert.equal(crashes(port), 1);
      }
    });
  }
});

describe('an answer that not even the bare 500 can follow', () => {
  /** Makes the wire refuse every head. */
  function jam({ wire }: Exchange): void {
    const refuse = () => {
      throw new TypeError('the wire is jammed');
    };
    if (wire.kind === 'http1') wire.response.writeHead = refuse;
    if (wire.kind === 'http2') wire.stream.respond = refuse;
  }
  const handlers = {
    throws: (exchange) => {
      if (exchange.head.target === '/others') return answerTarget(exchange);
      jam(exchange);
      throw new Error('first');
    },
    rejects: async (exchange) => {
      if (exchange.head.target === '/others') return answerTarget(exchange);
      jam(exchange);
      throw new Error('first');
    },
  } satisfies Record<string, Handler>;

  for (const [name, handler] of Object.entries(handlers)) {
    it(`closes the connection, the stream or the socket, and says both mistakes, when the handler ${name}`, async () => {
      const port = await openPort({ handler });
      assert.equal(await exchangeRaw(port, get), '');
      assert.equal(crashes(port), 2);
      assert.equal(await closeCode(openSession(port.port).request({ ':path': '/' })), 2);
      assert.equal(crashes(port), 4);
      assert.equal(await exchangeRaw(port, handshake), '');
      assert.equal(crashes(port), 5);
      await assertServed(port);
    });
  }
});

describe('an answer that its handler leaves half-done, behind another one on its connection', () => {
  it('ends the connection, instead of coming to its turn and never ending', async () => {
    const port = await openPort({
      handler: async ({ wire, head }) => {
        if (wire.kind !== 'http1' || head.target !== '/second') return;
        wire.response.writeHead(200);
        wire.response.write('half');
        throw new Error('a mistake of the handler');
      },
    });
    const connection = await connectRaw(port);
    connection.send(`${get}${get.replace('/', '/second')}`);
    assert.equal(await connection.ended(), '');
  });
});

describe('an answer that is complete when its handler fails', () => {
  it('arrives as it is, and its connection goes on', async () => {
    const port = await openPort({
      handler: async (exchange) => {
        answerTarget(exchange);
        if (exchange.head.target === '/') throw new Error('a mistake of the handler');
      },
    });
    const connection = await connectRaw(port);
    connection.send(get);
    await connection.until('GET /');
    connection.send(get.replace('/', '/second'));
    assert.deepEqual(statusesIn(await connection.until('GET /second')), [200, 200]);
    assert.equal(crashes(port), 1);
  });
});

describe('an answer that is written to after its end', () => {
  for (const [name, handler] of Object.entries({
    'at once': ({ wire }) => {
      if (wire.kind === 'http1') wire.response.end('x').write('late');
    },
    'before the connection has it': async ({ wire, head }) => {
      if (wire.kind !== 'http1' || head.target !== '/second') return;
      await new Promise(setImmediate);
      wire.response.end('x').write('late');
    },
  } satisfies Record<string, Handler>)) {
    it(`ends its connection and nothing else: ${name}`, async () => {
      const port = await openPort({ handler });
      const connection = await connectRaw(port);
      connection.send(`${get}${get.replace('/', '/second')}`);
      await connection.ended();
      assert.ok(crashes(port) >= 1);
    });
  }
});

function crashes(port: OpenPort): number {
  return port.events.filter(({ event }) => event === 'request.crashed').length;
}

async function assertServed(port: OpenPort): Promise<void> {
  const answer = await exchangeRaw(port, 'GET /others HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  assert.equal(statusesIn(answer).length, 1);
}
