import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { frame, GOAWAY, SETTINGS } from '../server/raw-http2.ts';
import { type Front, listen, talk } from './front.ts';
import { bodyOf, grpc } from './http2-stage.ts';
import { createNamed, createRaw, createWatchedLog, deadPlace } from './places.ts';
import { deadPort } from './raw-upstream.ts';
import { createStage, until } from './stage.ts';

const stage = createStage();
after(stage.close);

const get = (target = '/') => `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
const post = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi';

const at = (...ports: number[]) => ports.map((port) => ({ host: '127.0.0.1', port }));

function ending<S extends ReturnType<typeof createRaw>>(server: S): S {
  stage.onClose(() => {
    server.close();
    for (const socket of server.sockets) socket.destroy();
  });
  return server;
}

async function named(name: string): Promise<number> {
  return listen(ending(createNamed(name)));
}

/** A server that holds every request until it is told to answer. */
async function holding(): Promise<{ port: number; held: Socket[]; answer(): void }> {
  const held: Socket[] = [];
  const server = ending(createRaw((socket) => socket.on('data', () => held.push(socket))));
  const answer = () => {
    for (const socket of held.splice(0)) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  };
  return { port: await listen(server), held, answer };
}

async function names(door: Front, count: number, request = get()): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < count; i += 1) found.push((await talk(door.http1Port, request)).split('\r\n\r\n')[1] ?? '');
  return found;
}

/** A request whose answer is not awaited. */
function begin(door: Front, request = get()): Socket {
  const socket = connect(door.http1Port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(request);
  stage.onClose(() => void socket.destroy());
  return socket;
}

/** An h2c server whose streams are answered by the test. */
async function startH2c(onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) {
  const server = createHttp2();
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  stage.onClose(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return { port: await listen(server), sessions };
}

function caller(door: Front) {
  const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
  stage.onClose(() => session.destroy());
  return session;
}

describe('an upstream with several addresses', () => {
  it('takes them in turn while all have as few requests under way', async () => {
    const door = await stage.front({ upstream: { targets: at(await named('a'), await named('b'), await named('c')) } });
    assert.deepEqual((await names(door, 6)).toSorted(), ['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('takes the one with the fewest requests under way', async () => {
    const [slow, quick] = [await holding(), await named('quick')];
    const door = await stage.front({ upstream: { targets: at(slow.port, quick) } });
    const first = begin(door);
    const second = begin(door);
    await until(() => slow.held.length === 1, first);
    assert.deepEqual(
      await names(door, 5),
      Array.from({ length: 5 }, () => 'quick'),
    );
    for (const socket of [first, second]) socket.destroy();
  });

  it('spreads the streams of HTTP/2 over them', async () => {
    const counts = [0, 0, 0];
    const answer = (at: number) => (stream: ServerHttp2Stream) => {
      counts[at] = (counts[at] ?? 0) + 1;
      stream.respond({ ':status': 200 });
    };
    const servers = [await startH2c(answer(0)), await startH2c(answer(1)), await startH2c(answer(2))];
    const door = await stage.front({ upstream: { protocol: 'h2c', targets: at(...servers.map(({ port }) => port)) } });
    const session = caller(door);
    const streams = Array.from({ length: 30 }, () => session.request({ ':path': '/' }));
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    assert.deepEqual(counts, [10, 10, 10]);
    assert.deepEqual(
      servers.map(({ sessions }) => sessions.length),
      [1, 1, 1],
    );
  });

  it('spreads WebSockets over them, and passes one that is not there by', async () => {
    const counts = [0, 0];
    const ports = await Promise.all(
      counts.map(async (_count, at) => {
        const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
        await once(server, 'listening');
        server.on('connection', () => {
          counts[at] = (counts[at] ?? 0) + 1;
        });
        stage.onClose(() => {
          for (const client of server.clients) client.terminate();
          server.close();
        });
        return (server.address() as { port: number }).port;
      }),
    );
    const door = await stage.front({ upstream: { targets: at(...ports, await deadPort()) } });
    for (let i = 0; i < 6; i += 1) {
      const socket = new WebSocket(`ws://127.0.0.1:${door.http1Port}/`);
      stage.onClose(() => socket.terminate());
      await once(socket, 'open');
    }
    assert.deepEqual(counts, [3, 3]);
  });
});

describe('an address that is not there', () => {
  it('costs no request, also none with a body, and is told of once', async () => {
    const watched = createWatchedLog();
    const targets = at(await named('a'), await deadPort());
    const door = await stage.front({ upstream: { targets }, log: watched.log });
    for (const request of [post, get(), post, get()]) assert.deepEqual(await names(door, 2, request), ['a', 'a']);
    assert.deepEqual(watched.events, ['upstream.address_ejected']);
    assert.deepEqual(watched.facts[0]?.['address'], `127.0.0.1:${targets[1]?.port}`);
    assert.deepEqual(new Set(door.measured), new Set(['answered']));
  });

  it('is not dialled again while it is left alone', async () => {
    let dialled = 0;
    const nobody = ending(createRaw((socket) => socket.resetAndDestroy()));
    nobody.on('connection', () => {
      dialled += 1;
    });
    const targets = at(await named('a'), await listen(nobody));
    const door = await stage.front({ upstream: { targets }, pauses: { firstMs: 60_000, longestMs: 60_000 } });
    assert.deepEqual(new Set(await names(door, 12)), new Set(['a']));
    assert.equal(dialled, 1);
  });

  it('costs no gRPC call either', async () => {
    const { port } = await startH2c((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const door = await stage.front({ upstream: { protocol: 'h2c', targets: at(await deadPort(), port) } });
    const session = caller(door);
    for (let i = 0; i < 4; i += 1) {
      const stream = session.request(grpc);
      stream.end('hello');
      assert.equal(await bodyOf(stream), 'hello');
    }
  });

  it('costs no call whose body is empty, and was so before a connection stood', async () => {
    const { port } = await startH2c((stream) => {
      stream.resume().once('end', () => stream.respond({ ':status': 204 }, { endStream: true }));
    });
    for (const targets of [at(port), at(await deadPort(), port)]) {
      const session = caller(await stage.front({ upstream: { protocol: 'h2c', targets } }));
      for (let i = 0; i < 3; i += 1) {
        const stream = session.request(grpc);
        stream.end();
        const [head] = await once(stream, 'response');
        assert.equal(head[':status'], 204);
      }
    }
  });

  it('is back when somebody listens there again', async () => {
    const watched = createWatchedLog();
    const dead = await deadPlace('127.0.0.81');
    const pauses = { firstMs: 20, longestMs: 20 };
    const targets = [...at(await named('a')), dead];
    const door = await stage.front({ upstream: { targets }, log: watched.log, pauses });
    await names(door, 2);
    const b = ending(createNamed('b'));
    b.listen(dead.port, dead.host);
    await once(b, 'listening');
    await watched.written('upstream.address_back');
    assert.deepEqual((await names(door, 2)).toSorted(), ['a', 'b']);
  });

  it('is tried all the same when no other is there, and keeps nobody waiting', async () => {
    const dead = await deadPlace('127.0.0.82');
    const door = await stage.front({ upstream: { targets: [dead, await deadPlace('127.0.0.83')] } });
    assert.deepEqual(
      await names(door, 3),
      Array.from({ length: 3 }, () => 'upstream_unreachable'),
    );
    const late = ending(createNamed('late'));
    late.listen(dead.port, dead.host);
    await once(late, 'listening');
    assert.deepEqual(await names(door, 2), ['late', 'late']);
  });
});

describe('a request', () => {
  it('that was not answered goes to another address, once, and only where nothing is done twice by it', async () => {
    const seen: string[] = [];
    const cutting = () => {
      const server = ending(
        createRaw((socket) =>
          socket.on('data', (chunk) => {
            seen.push(chunk.toString('latin1').split(' ')[0] ?? '');
            socket.destroy();
          }),
        ),
      );
      return listen(server);
    };
    const door = await stage.front({ upstream: { targets: at(await cutting(), await cutting()) } });
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'DELETE']) {
      const answer = await talk(door.http1Port, get().replace('GET', method));
      assert.match(answer, method === 'HEAD' ? /502/ : /upstream_broken$/);
    }
    assert.deepEqual(seen, ['GET', 'GET', 'HEAD', 'HEAD', 'OPTIONS', 'OPTIONS', 'POST', 'DELETE']);
  });

  it('of which one byte of an answer was heard is never sent again', async () => {
    let requests = 0;
    const half = () =>
      listen(
        ending(
          createRaw((socket) =>
            socket.on('data', () => {
              requests += 1;
              socket.write('H', () => socket.resetAndDestroy());
            }),
          ),
        ),
      );
    const door = await stage.front({ upstream: { targets: at(await half(), await half()) } });
    assert.match(await talk(door.http1Port, get()), /upstream_(broken|unreachable)$/);
    const handshake = get().replace('Connection: close', 'Connection: Upgrade\r\nUpgrade: websocket');
    assert.match(await talk(door.http1Port, handshake), /upstream_broken$/);
    assert.equal(requests, 2);
  });

  it('whose connection opens too late is not kept waiting twice where there is one address', async () => {
    let connections = 0;
    // It accepts, and never says a word of TLS.
    const silent = ending(
      createRaw((socket) => {
        connections += 1;
        socket.resume();
      }),
    );
    const port = await listen(silent);
    for (const [targets, tries] of [
      [at(port), 1],
      [[...at(port), { host: '127.0.0.2', port: await deadPort() }], 2],
    ] as const) {
      connections = 0;
      const door = await stage.front({ upstream: { protocol: 'https', targets, connectTimeoutMs: 50 } });
      assert.match(await talk(door.http1Port, get()), /upstream_unreachable$/);
      assert.ok(connections <= tries);
      assert.equal(connections, 1);
    }
  });

  it('that an HTTP/2 upstream refused unprocessed goes to another address, small body and all', async () => {
    const seen: string[] = [];
    const refusing = await startH2c((stream) => {
      seen.push('refused');
      stream.close(7);
    });
    const serving = await startH2c((stream) => {
      seen.push('served');
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const door = await stage.front({ upstream: { protocol: 'h2c', targets: at(refusing.port, serving.port) } });
    const session = caller(door);
    for (let i = 0; i < 4; i += 1) {
      const stream = session.request(grpc);
      stream.end(`message ${i}`);
      assert.equal(await bodyOf(stream), `message ${i}`);
    }
    assert.ok(seen.includes('refused'));
  });

  it('that came after the last one GOAWAY counts goes to another connection', async () => {
    // The first connection counts no stream at all: what was sent is told to be unprocessed (RFC 9113 §6.8).
    let refused = 0;
    const leaving = ending(
      createRaw((socket) => {
        socket.write(frame(SETTINGS, 0, 0));
        socket.on('data', () => {
          if (refused > 0) return;
          refused += 1;
          socket.write(frame(GOAWAY, 0, 0, Buffer.alloc(8)));
        });
      }),
    );
    const leavingPort = await listen(leaving);
    const serving = await startH2c((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const targets = at(leavingPort, serving.port);
    const door = await stage.front({ upstream: { protocol: 'h2c', targets } });
    const session = caller(door);
    for (const message of ['one', 'two']) {
      const stream = session.request(grpc);
      stream.end(message);
      assert.equal(await bodyOf(stream), message);
    }
    assert.equal(refused, 1);
  });

  it('that is safe and whose HTTP/2 connection was lost unanswered goes out once more; any other does not', async () => {
    const seen: string[] = [];
    const server = await startH2c((stream) => {
      seen.push('request');
      stream.session?.destroy();
    });
    const door = await stage.front({ upstream: { protocol: 'h2c', targets: at(server.port) } });
    const session = caller(door);
    const safe = session.request({ ':path': '/' });
    assert.equal(await bodyOf(safe), 'upstream_broken');
    assert.equal(seen.length, 2);
    const call = session.request(grpc);
    call.end('x');
    assert.equal(await bodyOf(call), 'upstream_broken');
    assert.equal(seen.length, 3);
  });
});

describe('the Host that an upstream hears', () => {
  const echo = () =>
    listen(ending(createRaw((socket) => socket.on('data', (chunk) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${chunk}`)))));

  it('is the request’s, byte for byte, or what the settings say; X-Forwarded-Host is the request’s always', async () => {
    const port = await echo();
    const request = get().replace('Host: h', 'Host: Some.Example:80');
    const kept = await talk((await stage.front({ upstream: { port } })).http1Port, request);
    assert.match(kept, /\r\nHost: Some\.Example:80\r\n/i);
    const door = await stage.front({ upstream: { port, hostHeader: 'flyte.internal:8080' } });
    const rewritten = await talk(door.http1Port, request);
    assert.match(rewritten, /\r\nHost: flyte\.internal:8080\r\n/i);
    assert.equal(rewritten.match(/\r\nHost:/gi)?.length, 1);
    assert.match(rewritten, /\r\nX-Forwarded-Host: some\.example:80\r\n/i);
  });

  it('is the same over HTTP/2', async () => {
    const authorities: (string | undefined)[] = [];
    const { port } = await startH2c((stream, headers) => {
      authorities.push(headers[':authority']);
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    const door = await stage.front({ upstream: { protocol: 'h2c', port, hostHeader: 'flyte.internal' } });
    await bodyOf(caller(door).request({ ':path': '/' }));
    assert.deepEqual(authorities, ['flyte.internal']);
  });
});
