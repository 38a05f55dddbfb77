import assert from 'node:assert/strict';
import { createServer as createHttp2, type ServerHttp2Session } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { type Front, listen, talk } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';
import { END_HEADERS, END_STREAM, frame, framesIn, HEADERS, SETTINGS } from '../server/raw-http2.ts';

const stage = createStage();
after(stage.close);

/** What a client says before its first frame (RFC 9113 §3.4). */
const PREFACE_BYTES = 24;

const ask = (door: Front) => talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');

describe('an HTTP/2 connection that takes no more requests', { timeout: 10_000 }, () => {
  it('still serves those that wait for it, when its name is found meanwhile', async () => {
    const sessions: ServerHttp2Session[] = [];
    const server = createHttp2();
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream) => stream.respond({ ':status': 204 }, { endStream: true }));
    const port = await listen(server);
    stage.onClose(() => {
      server.close();
      for (const session of sessions) session.destroy();
    });
    const known = Promise.withResolvers<readonly string[]>();
    const dialled = Promise.withResolvers<void>();
    let lookups = 0;
    const lookup = () => {
      // The first is for the list of addresses, the second for the connection that does not wait for that.
      lookups += 1;
      if (lookups === 2) dialled.resolve();
      return known.promise;
    };
    const targets = [{ host: 'svc.test', port }];
    const door = await stage.front({ upstream: { protocol: 'h2c', targets }, lookup });
    const answer = ask(door);
    await dialled.promise;
    known.resolve(['127.0.0.1']);
    assert.match(await answer, /^HTTP\/1\.1 204 /);
    // Refused there, it would have gone to another one.
    assert.equal(sessions.length, 1);
  });

  it('is not kept by a peer that never closes its side', async () => {
    const sockets = new Set<Socket>();
    const emptied = Promise.withResolvers<void>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        emptied.resolve();
      });
      socket.write(frame(SETTINGS, 0, 0));
      let received = '';
      let isAnswered = false;
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (isAnswered || !framesIn(received.slice(PREFACE_BYTES)).some(({ type }) => type === HEADERS)) return;
        isAnswered = true;
        socket.write(frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.from([0x89]))); // :status 204
      });
    });
    const port = await listen(server);
    stage.onClose(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const door = await stage.front({
      upstream: { protocol: 'h2c', port, idleTimeoutMs: 60, maxConnections: 1 },
    });
    assert.match(await ask(door), /^HTTP\/1\.1 204 /);
    // A write tells it that its peer is gone: it learns of nothing otherwise.
    const poke = setInterval(() => {
      for (const socket of sockets) socket.write(frame(SETTINGS, 1, 0));
    }, 50);
    stage.onClose(() => clearInterval(poke));
    await emptied.promise;
    assert.match(await ask(door), /^HTTP\/1\.1 204 /);
  });
});
