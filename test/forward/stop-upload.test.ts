import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import {
  connectFrames,
  END_HEADERS,
  END_STREAM,
  fieldBlock,
  frame,
  framesIn,
  HEADERS,
  isFor,
  plainGet,
  RST_STREAM,
  WINDOW_UPDATE,
} from '../server/raw-http2.ts';
import { createHttp2Stage, grpc } from './http2-stage.ts';

const stage = createHttp2Stage();
after(stage.close);

const bigWindow = Buffer.from([0, 0x04, 0x40, 0, 0, 0]); // SETTINGS_INITIAL_WINDOW_SIZE of 1 GiB
const call = [[':method', 'POST'], ...plainGet.slice(1), ['content-type', 'application/grpc']] as readonly (readonly [
  string,
  string,
])[];

/** A caller that opens a call on stream 1 and does not end its side. */
async function openCall(answer: (stream: ServerHttp2Stream) => void) {
  const upstream = await stage.startUpstream(answer);
  const door = await stage.front({ upstream: { port: upstream.port } });
  const connection = await connectFrames({ host: '127.0.0.1', port: door.http2Port }, bigWindow);
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(2 ** 30);
  connection.send(frame(WINDOW_UPDATE, 0, 0, increment));
  const begin = () => connection.send(frame(HEADERS, END_HEADERS, 1, fieldBlock(call)));
  const ofCall = () => framesIn(connection.received()).filter(({ stream }) => stream === 1);
  const untilReset = async () => {
    while (!ofCall().some(isFor(RST_STREAM, 1))) await once(connection.socket, 'data');
    return ofCall();
  };
  return { door, connection, begin, ofCall, untilReset };
}

function answerWith(bytes: number): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(bytes));
  };
}

describe('a call that is over before its caller has ended its side', { timeout: 20_000 }, () => {
  it('is closed without error after its trailers, so that nobody waits for the rest', async () => {
    const { door, begin, untilReset } = await openCall(answerWith(10));
    const outcome = door.nextOutcome();
    begin();
    const frames = await untilReset();
    const [trailers, reset] = frames.slice(-2);
    assert.deepEqual([trailers?.type, (trailers?.flags ?? 0) & END_STREAM], [HEADERS, END_STREAM]);
    assert.deepEqual([reset?.type, reset?.payload], [RST_STREAM, Buffer.alloc(4)]);
    assert.deepEqual(await outcome, { kind: 'answered', status: 200, bytes: 10, complete: true });
  });

  it('is closed so when the answer is trailers only', async () => {
    const { begin, untilReset } = await openCall((stream) =>
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true }),
    );
    begin();
    const types = (await untilReset()).map(({ type }) => type);
    assert.deepEqual(types, [HEADERS, RST_STREAM]);
  });

  it('is not closed before its answer is out, however slowly the caller reads', async () => {
    const bytes = 8 * 1024 * 1024;
    const { connection, door, begin, untilReset, ofCall } = await openCall(answerWith(bytes));
    begin();
    while (ofCall().length === 0) await once(connection.socket, 'data');
    connection.socket.pause();
    const wire = door.lastWire();
    assert.equal(wire?.kind, 'http2');
    // As much as the network takes is out; the rest waits, with the trailers behind it.
    for (let before = -1, now = 0; before !== now; before = now, now = wire.stream.session?.socket.bytesWritten ?? 0)
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    assert.equal(ofCall().some(isFor(RST_STREAM, 1)), false);
    let rest = 0;
    connection.socket.on('data', (chunk: Buffer) => {
      rest += chunk.length;
    });
    connection.socket.resume();
    // Frames are looked for when most has come: that is a search through all of it each time.
    while (rest < bytes - 1024 * 1024) await once(connection.socket, 'data');
    const frames = await untilReset();
    assert.equal(
      frames.filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0),
      bytes,
    );
    assert.deepEqual(
      frames.slice(-2).map(({ type }) => type),
      [HEADERS, RST_STREAM],
    );
  });

  it('leaves a client of Node with status, message and no error', async () => {
    const upstream = await stage.startUpstream(answerWith(10));
    const door = await stage.front({ upstream: { port: upstream.port } });
    const stream = stage.caller(door).request(grpc);
    const trailers = once(stream, 'trailers');
    stream.write('question');
    stream.resume();
    assert.equal((await trailers)[0]['grpc-status'], '0');
    await once(stream, 'close');
    assert.equal(stream.rstCode, 0);
  });
});
