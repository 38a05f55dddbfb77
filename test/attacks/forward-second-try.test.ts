import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { type Front, listen } from '../forward/front.ts';
import { createWatchedLog, deadPlace } from '../forward/places.ts';
import { createStage, until } from '../forward/stage.ts';

const stage = createStage();
after(stage.close);

function begin(door: Front, head: string) {
  const socket = connect(door.http1Port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(`${head}\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`);
  stage.onClose(() => void socket.destroy());
  const say = (bytes: string) => socket.write(`${bytes.length.toString(16)}\r\n${bytes}\r\n`);
  return { socket, say, end: () => socket.write('0\r\n\r\n') };
}

/** An h2c server; streams are answered by the test. */
async function startH2c(onStream: (stream: ServerHttp2Stream) => void): Promise<number> {
  const server = createHttp2();
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    onStream(stream);
  });
  stage.onClose(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return listen(server);
}

describe('a second try', { timeout: 60_000 }, () => {
  it('takes no longer a body than the first would have', async () => {
    const dead = await deadPlace('127.0.0.1');
    const upstream = await stage.raw(() => undefined);
    const watched = createWatchedLog();
    const targets = [{ host: '127.0.0.1', port: upstream.port }, dead];
    const door = await stage.front({ upstream: { targets }, plan: { maxBodyBytes: 1000 }, log: watched.log });
    const outcome = door.nextOutcome();
    const caller = begin(door, 'POST / HTTP/1.1');
    await watched.written('upstream.address_ejected');
    for (let i = 0; i < 10; i += 1) caller.say('x'.repeat(900));
    caller.end();
    // One that is not held back arrives whole.
    const whole = until(() => upstream.received[0]?.endsWith('\r\n0\r\n\r\n') === true, caller.socket);
    const ended = await Promise.race([outcome, whole.then(() => ({ kind: 'failed', code: 'no_limit' }))]);
    assert.equal(ended.kind === 'failed' && ended.code, 'body_too_large');
  });

  it('has the body from its first byte on, however much comes while its connection is made', async () => {
    let refuse: () => void = () => assert.fail('nothing came');
    const begun = Promise.withResolvers<void>();
    const refusing = await startH2c((stream) => {
      refuse = () => stream.close(7); // REFUSED_STREAM
      stream.once('data', begun.resolve);
    });
    const arrived = Promise.withResolvers<string>();
    const other = await startH2c((stream) => {
      let body = '';
      stream.setEncoding('latin1').on('data', (chunk) => {
        body += chunk;
      });
      stream.once('end', () => arrived.resolve(body));
      stream.once('end', () => stream.respond({ ':status': 200 }, { endStream: true }));
    });
    const asked = Promise.withResolvers<void>();
    const known = Promise.withResolvers<readonly string[]>();
    let lookups = 0;
    const lookup = () => {
      // The first is for the list of addresses, the second for the connection.
      lookups += 1;
      if (lookups === 1) return Promise.reject(new Error('no answer yet'));
      asked.resolve();
      return known.promise;
    };
    const targets = [
      { host: 'slow.test', port: other },
      { host: '127.0.0.1', port: refusing },
    ];
    const door = await stage.front({ upstream: { protocol: 'h2c', targets }, lookup });
    const outcome = door.nextOutcome();
    const caller = begin(door, 'POST / HTTP/1.1');
    caller.say('the first byte');
    await begun.promise;
    refuse();
    await asked.promise;
    const more = 'y'.repeat(30_000);
    for (let i = 0; i < 4; i += 1) caller.say(more);
    if (caller.socket.writableLength > 0) await once(caller.socket, 'drain');
    // As much as the door takes meanwhile.
    let read = -1;
    for (let turns = 0; turns < 20; turns += 1) {
      const wire = door.lastWire();
      const now = wire?.kind === 'http1' ? wire.request.socket.bytesRead : 0;
      if (now !== read) turns = 0;
      read = now;
      await new Promise(setImmediate);
    }
    known.resolve(['127.0.0.1']);
    caller.end();
    const ended = await Promise.race([outcome, arrived.promise]);
    assert.equal(typeof ended === 'string' ? ended.length : ended, 'the first byte'.length + 4 * more.length);
  });
});
