import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { Handler } from '../../src/server/exchange.ts';
import { ask, openSession } from './http2-client.ts';
import { openPort } from './port.ts';
import { connectRaw, exchangeRaw, statusesIn } from './raw-connection.ts';
import {
  connectFrames,
  frame,
  framesIn,
  HEADERS,
  isFor,
  RST_STREAM,
  requestFrame,
  SETTINGS,
  WINDOW_UPDATE,
} from './raw-http2.ts';
import { testCertificate } from './test-certificate.ts';

const closing = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';
const staying = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';

describe('server.limits', { timeout: 60_000 }, () => {
  it('connectionsPerAddress closes the connections beyond it, and takes others when some have closed', async () => {
    const port = await openPort({ limits: { connectionsPerAddress: 2 } });
    const first = await connectRaw(port);
    const second = await connectRaw(port);
    for (const connection of [first, second]) {
      connection.send(staying);
      await connection.until('GET /');
    }
    const third = await connectRaw(port);
    third.send(closing);
    assert.equal(await third.ended(), '');
    first.send(closing);
    await first.ended();
    // The port hears of the end a moment after its peer.
    let answer = '';
    while (answer === '') answer = await exchangeRaw(port, closing);
    assert.deepEqual(statusesIn(answer), [200]);
  });

  for (const tls of [undefined, testCertificate])
    it(`tcpKeepAlive is asked of the system for every connection ${tls ? 'with' : 'without'} TLS`, {
      skip: process.platform !== 'linux',
    }, async () => {
      const port = await openPort({ limits: { tcpKeepAliveMs: 77_000 }, ...(tls && { tls }) });
      const session = openSession(port.port, tls ? 'https' : 'http');
      assert.equal((await ask(session)).status, 200);
      const timer = await keepAliveTimer(port.port);
      assert.ok(timer !== undefined && timer > 60_000 && timer <= 77_000, `${timer} ms`);
    });

  it('resetBurst and resetsPerSecond close the connection of a caller that cancels more', async () => {
    const count = 20;
    const rest: Handler = () => new Promise(() => undefined);
    for (const [resetBurst, isClosed] of [
      [10, true],
      [1000, false],
    ] as const) {
      const port = await openPort({ limits: { resetBurst, resetsPerSecond: 1 }, handler: rest });
      const caller = await connectFrames(port);
      const cancel = Buffer.from([0, 0, 0, 8]);
      for (let i = 0; i < count; i++)
        caller.send(Buffer.concat([requestFrame(2 * i + 1), frame(RST_STREAM, 0, 2 * i + 1, cancel)]));
      if (isClosed) await caller.ended();
      else {
        caller.send(frame(6, 0, 0, Buffer.alloc(8)));
        while (!framesIn(caller.received()).some(({ type, flags }) => type === 6 && flags === 1))
          await once(caller.socket, 'data');
      }
    }
  });

  it('streamsPerConnection is kept when it is large', async () => {
    // Node refuses streams beyond about 4,500 unless told how much memory they may take.
    const count = 6000;
    const port = await openPort({
      limits: { streamsPerConnection: count },
      handler: ({ wire }) => {
        if (wire.kind !== 'http2') return;
        wire.stream.resume();
        wire.stream.respond([':status', '200'], { waitForTrailers: true });
        wire.stream.write('begun');
      },
    });
    const session = openSession(port.port);
    await once(session, 'remoteSettings');
    const statuses = Array.from({ length: count }, async () => {
      const stream = session.request({ ':method': 'POST', ':path': '/', te: 'trailers' });
      stream.on('error', () => undefined); // of the end of the session
      stream.end('question');
      const [headers] = await once(stream, 'response');
      return headers[':status'];
    });
    assert.deepEqual(new Set(await Promise.all(statuses)), new Set([200]));
  });

  it('streamWindow and connectionWindow are what callers are told', async () => {
    const port = await openPort({ limits: { streamWindow: 100_000, connectionWindow: 300_000 } });
    const caller = await connectFrames(port);
    const update = isFor(WINDOW_UPDATE, 0);
    while (!framesIn(caller.received()).some(update)) await once(caller.socket, 'data');
    const frames = framesIn(caller.received());
    const settings = frames.find(({ type, flags }) => type === SETTINGS && flags === 0)?.payload ?? Buffer.alloc(0);
    const told = new Map<number, number>();
    for (let at = 0; at < settings.length; at += 6) told.set(settings.readUInt16BE(at), settings.readUInt32BE(at + 2));
    assert.equal(told.get(4), 100_000);
    // On top of the 65,535 that every connection begins with (RFC 9113 §6.9.2).
    assert.equal(65_535 + (frames.find(update)?.payload.readUInt32BE(0) ?? 0), 300_000);
    assert.equal(frames.some(isFor(HEADERS, 1)), false);
    assert.equal((await ask(openSession(port.port))).status, 200);
  });
});

/** Milliseconds to the next keep-alive probe on an established connection of a port; undefined without one (proc_net_tcp). */
async function keepAliveTimer(port: number): Promise<number | undefined> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  // Of the timers, 02 is keep-alive; the time is in hundredths of a second.
  const line = new RegExp(`: ${local} \\S+ 01 \\S+ 02:([0-9A-F]+) `, 'm');
  const when = line.exec(await readFile('/proc/net/tcp', 'utf8'))?.[1];
  return when === undefined ? undefined : Number.parseInt(when, 16) * 10;
}
