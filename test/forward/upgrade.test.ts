import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type Front, type FrontNeeds, startFront, talk } from './front.ts';
import { deadPort, type RawUpstream, startRawUpstream } from './raw-upstream.ts';

const closers: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

async function front(needs: FrontNeeds): Promise<Front> {
  const started = await startFront(needs);
  closers.push(started.close);
  return started;
}

async function raw(onHead: Parameters<typeof startRawUpstream>[0]): Promise<RawUpstream> {
  const started = await startRawUpstream(onHead);
  closers.push(started.close);
  return started;
}

const HANDSHAKE =
  'GET /ws?x HTTP/1.1\r\nhOst: h:1\r\nX-b: 1\r\nx-A: 2\r\nX-b: 3\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n' +
  'Cookie: a=1; __Host-flytegate=x\r\nAuthorization: Bearer stolen\r\nX-User-Id: root\r\n' +
  'Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate; x="\u00e9"\r\nSec-WebSocket-Protocol: b\r\n\r\n';
const AGREED = 'HTTP/1.1 101 Fine\r\nupgrade: websocket\r\nX-b: 1\r\nConnection: Upgrade\r\nx-A: 2\r\nX-b: 3\r\n\r\n';

/** A caller whose handshake was sent; everything it reads is in `heard`. */
function shake(
  door: Front,
  bytes = HANDSHAKE,
): { socket: Socket; heard: () => string; until(text: string): Promise<void> } {
  const socket = connect({ port: door.http1Port, host: '127.0.0.1', allowHalfOpen: true });
  let heard = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  socket.write(Buffer.from(bytes, 'latin1'));
  const until = async (text: string) => {
    while (!heard.includes(text)) {
      assert.ok(!socket.destroyed, `the connection ended before ${JSON.stringify(text)}: ${heard}`);
      await new Promise(setImmediate);
    }
  };
  return { socket, heard: () => heard, until };
}

function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function turnsUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

describe('a WebSocket handshake', () => {
  it('reaches the upstream, and its answer the caller, byte for byte but for the rules', async () => {
    const upstream = await raw((socket) => socket.write(AGREED));
    const door = await front({
      upstream: { port: upstream.port },
      plan: { identity: ['X-Auth-Request-User', '\u00e7\u008e\u008b'], setCookie: 's=1' },
    });
    const caller = shake(door);
    await caller.until('s=1\r\n\r\n');
    const sent = [
      'GET /ws?x HTTP/1.1',
      'Host: h:1',
      'X-b: 1',
      'x-A: 2',
      'X-b: 3',
      'Cookie: a=1',
      'Sec-WebSocket-Protocol: a',
      'Sec-WebSocket-Extensions: permessage-deflate; x="\u00e9"',
      'Sec-WebSocket-Protocol: b',
      'Connection: Upgrade',
      'Upgrade: WebSocket',
      'X-Auth-Request-User: \u00e7\u008e\u008b',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: h:1',
      'X-Request-ID: ref-1',
      '\r\n',
    ];
    assert.equal(upstream.received[0], sent.join('\r\n'));
    const ours = 'Cache-Control: no-cache="Set-Cookie"\r\nSet-Cookie: s=1\r\n\r\n';
    assert.equal(caller.heard(), AGREED.slice(0, -2) + ours);
    caller.socket.destroy();
  });

  it('lets both sides speak early without losing a byte', async () => {
    const upstream = await raw((socket) => socket.write(`${AGREED}first`));
    const door = await front({ upstream: { port: upstream.port } });
    const caller = shake(door, `${HANDSHAKE}early`);
    await caller.until('first');
    await turnsUntil(() => upstream.received[0]?.endsWith('\r\n\r\nearly') === true);
    caller.socket.destroy();
  });

  for (const [what, answer, body] of [
    ['with a length', 'HTTP/1.1 403 Nope\r\nx-A: 1\r\nX-b: 2\r\nContent-Length: 2\r\n', 'no'],
    ['in chunks', 'HTTP/1.1 401 Nope\r\nx-A: 1\r\nTransfer-Encoding: chunked\r\n', '2\r\nno\r\n0\r\n\r\n'],
  ] as const) {
    it(`that the upstream refuses ${what} is refused in its words, and the connection closed`, async () => {
      const upstream = await raw((socket) => socket.write(`${answer}\r\n${body}`));
      const door = await front({ upstream: { port: upstream.port } });
      const outcome = door.nextOutcome();
      const heard = await talk(door.http1Port, HANDSHAKE);
      assert.ok(heard.startsWith(answer.replace(/Transfer.*/s, '')), heard);
      assert.match(heard, /\r\nConnection: close\r\n/);
      assert.ok(heard.endsWith(`\r\n\r\n${body}`), heard);
      const { kind } = await outcome;
      assert.equal(kind, 'answered');
    });
  }

  it('that the upstream refuses at length is refused in all its words', async () => {
    const words = 'no '.repeat(1_000_000);
    const upstream = await raw((socket) => {
      socket.write(`HTTP/1.1 403 Nope\r\nContent-Length: ${words.length}\r\n\r\n${words}`);
    });
    const door = await front({ upstream: { port: upstream.port } });
    const heard = await talk(door.http1Port, HANDSHAKE);
    assert.equal(heard.length - heard.indexOf('\r\n\r\n') - 4, words.length);
  });

  it('that the upstream does not answer is a timeout', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port, headersTimeoutMs: 100 } });
    assert.match(await talk(door.http1Port, HANDSHAKE), /upstream_timeout$/);
    await turnsUntil(() => upstream.sockets[0]?.destroyed === true);
  });

  it('that nobody accepts, or that is answered by garbage, fails before anything is said', async () => {
    const nobody = await front({ upstream: { port: await deadPort() } });
    assert.match(await talk(nobody.http1Port, HANDSHAKE), /upstream_unreachable$/);
    const upstream = await raw((socket) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'));
    const door = await front({ upstream: { port: upstream.port } });
    assert.match(await talk(door.http1Port, HANDSHAKE), /upstream_broken$/);
  });

  it('to an upstream that speaks HTTP/2 only fails without a connection', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port, protocol: 'h2c' } });
    assert.match(await talk(door.http1Port, HANDSHAKE), /upstream_broken$/);
    assert.equal(upstream.sockets.length, 0);
  });

  for (const [how, leave] of [
    ['closes', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ] as const) {
    it(`leaves nothing behind in 5,000 cases where the caller ${how} before the answer`, async () => {
      let shaken = 0;
      let open = 0;
      const upstream = await raw((socket) => {
        shaken += 1;
        open += 1;
        socket.once('close', () => {
          open -= 1;
        });
      });
      const door = await front({ upstream: { port: upstream.port, headersTimeoutMs: 60_000 } });
      for (let batch = 1; batch <= 50; batch += 1) {
        const callers = Array.from({ length: 100 }, () => shake(door));
        await turnsUntil(() => shaken === 100 * batch);
        for (const { socket } of callers) leave(socket);
        await turnsUntil(() => open === 0);
        for (const { socket } of callers) socket.destroy();
      }
      await turnsUntil(() => door.outcomes.length === 5000);
      assert.ok(door.outcomes.every((outcome) => outcome.kind === 'abandoned'));
    });
  }
});

describe('a WebSocket connection', () => {
  async function opened() {
    const upstream = await raw((socket) => socket.write(AGREED));
    const door = await front({ upstream: { port: upstream.port } });
    const caller = shake(door);
    await caller.until('\r\n\r\n');
    const [far] = upstream.sockets;
    assert.ok(far);
    return { upstream, door, caller, far };
  }

  it('ends at the upstream when the caller resets it', async () => {
    const { caller, far } = await opened();
    const closed = closing(far);
    caller.socket.resetAndDestroy();
    await closed;
  });

  it('is reset for the caller when the upstream dies', async () => {
    const { caller, far, door } = await opened();
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => caller.socket.once('error', resolve));
    const outcome = door.nextOutcome();
    far.resetAndDestroy();
    assert.equal((await failed).code, 'ECONNRESET');
    const result = await outcome;
    assert.equal(result.kind === 'answered' && result.complete, false);
  });

  it("can be ended at will: whoever destroys the caller's socket here ends both sides", async () => {
    const { caller, far, door } = await opened();
    const wire = door.lastWire();
    assert.ok(wire?.kind === 'upgrade');
    const ended = Promise.all([closing(far), closing(caller.socket)]);
    caller.socket.end();
    wire.socket.destroy();
    await ended;
  });

  it('passes a half-close on, and what the other side still has to say', async () => {
    const { caller, far, door, upstream } = await opened();
    far.removeAllListeners('end');
    const finished = once(far, 'end');
    const outcome = door.nextOutcome();
    caller.socket.end('bye');
    await finished;
    assert.ok(upstream.received[0]?.endsWith('bye'));
    far.end('see you');
    await once(caller.socket, 'end');
    assert.ok(caller.heard().endsWith('see you'));
    assert.deepEqual(await outcome, { kind: 'answered', status: 101, bytes: 7, complete: true });
  });

  it('holds the upstream back while the caller does not read', async () => {
    const { caller, far } = await opened();
    caller.socket.pause();
    let sent = 0;
    let stuck = 0;
    while (stuck < 400 && sent < 64 * 1024 * 1024) {
      stuck = far.writableNeedDrain ? stuck + 1 : 0;
      if (stuck === 0) {
        far.write(Buffer.alloc(65_536));
        sent += 65_536;
      } else await new Promise(setImmediate);
    }
    assert.ok(stuck === 400, '64 MB were taken in without a reader');
    caller.socket.destroy();
  });

  it('ends when the room closes', async () => {
    const { caller, far, door } = await opened();
    const closed = Promise.all([closing(far), closing(caller.socket)]);
    caller.socket.end();
    await door.close();
    closers.splice(closers.indexOf(door.close), 1);
    await closed;
  });

  it('carries messages of a real client and server, with compression and a subprotocol', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true });
    await once(server, 'listening');
    closers.push(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    server.on('connection', (socket) => socket.on('message', (message) => socket.send(`you said ${message}`)));
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const door = await front({ upstream: { port: address.port } });
    const client = new WebSocket(`ws://127.0.0.1:${door.http1Port}/`, ['flyte'], { perMessageDeflate: true });
    await once(client, 'open');
    assert.equal(client.protocol, 'flyte');
    assert.match(client.extensions, /permessage-deflate/);
    const text = 'hello '.repeat(10_000);
    client.send(text);
    const [answer] = await once(client, 'message');
    assert.equal(String(answer), `you said ${text}`);
    const outcome = door.nextOutcome();
    client.close(1000, 'done');
    const [code] = await once(client, 'close');
    assert.equal(code, 1000);
    const result = await outcome;
    assert.equal(result.kind === 'answered' && result.complete, true);
  });
});
