import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { type Front, talk } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';
import { ask, openSession } from '../server/http2-client.ts';

const stage = createStage();
after(stage.close);

const handshake =
  'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
const plain = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const good = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood';

/** A service that answers once with that status line, and as it should from then on. */
async function doorTo(statusLine: string): Promise<Front> {
  const answers = [`${statusLine}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil`];
  const upstream = await stage.raw((socket) => socket.end(Buffer.from(answers.shift() ?? good, 'latin1')));
  return stage.front({ upstream: { port: upstream.port, headersTimeoutMs: 2000 } });
}

for (const [what, request] of [
  ['a request', plain],
  ['a WebSocket handshake', handshake],
] as const) {
  describe(`a service that answers ${what} with`, () => {
    for (const phrase of ['\x01bad', 'bad\x01', '\x7f', '\x1b[31m', 'a\x0bb'])
      it(`the phrase ${JSON.stringify(phrase)} is passed on with the usual one`, async () => {
        const door = await doorTo(`HTTP/1.1 403 ${phrase}`);
        assert.match(await talk(door.http1Port, request), /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*evil$/);
        assert.match(await talk(door.http1Port, plain), /good$/);
      });

    it('a phrase beyond ASCII has it passed on byte for byte', async () => {
      const door = await doorTo('HTTP/1.1 403 caf\xc3\xa9');
      assert.match(await talk(door.http1Port, request), /^HTTP\/1\.1 403 caf\xc3\xa9\r\n/);
    });

    for (const status of ['000', '007', '099'])
      it(`the status ${status} is broken, and hurts nobody else`, async () => {
        const door = await doorTo(`HTTP/1.1 ${status} OK`);
        assert.match(await talk(door.http1Port, request), /^HTTP\/1\.1 502 [\s\S]*upstream_broken$/);
        assert.match(await talk(door.http1Port, plain), /good$/);
      });
  });
}

describe('a service that answers a request over HTTP/2 with', () => {
  for (const status of ['000', '007', '099'])
    it(`the status ${status} is broken, and hurts nobody else`, async () => {
      const door = await doorTo(`HTTP/1.1 ${status} OK`);
      const session = openSession(door.http2Port);
      const first = await ask(session);
      assert.deepEqual([first.status, first.body], [502, 'upstream_broken']);
      assert.equal((await ask(session)).body, 'good');
    });
});

describe('a service that agrees to a handshake', () => {
  it('has a phrase that nobody may write left out', async () => {
    const upstream = await stage.raw((socket) => {
      socket.end('HTTP/1.1 101 \x01\x1b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
    });
    const door = await stage.front({ upstream: { port: upstream.port } });
    const answer = await talk(door.http1Port, handshake);
    assert.match(answer, /^HTTP\/1\.1 101 \r\n[\s\S]*\r\n\r\nhello$/);
  });
});
