// An answer that is cut in the middle must not look complete to the caller, whatever it is an answer to and whatever the
// service calls it: an HTML page that a proxy answers an RPC with is as little to be cut in silence as a message.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { portOf } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';
import * as h2 from '../server/raw-http2.ts';

const stage = createStage();
after(stage.close);

const NO_ERROR = Buffer.alloc(4);
const CANCEL = Buffer.from([0, 0, 0, 8]);
const RST = (code: Buffer) => h2.frame(h2.RST_STREAM, 0, 1, code);
const GOAWAY = h2.frame(h2.GOAWAY, 0, 0, Buffer.alloc(8));
const body = Buffer.from('<h1>half of a pa');
const data = (flags = 0) => h2.frame(h2.DATA, flags, 1, body);

/** What comes after the head, in as many writes. `fin` and `reset` end the connection. */
type Step = Buffer | 'fin' | 'reset';

const cuts: Readonly<Record<string, readonly Step[]>> = {
  'reset without error in one piece with its head': [Buffer.concat([data(), RST(NO_ERROR)])],
  'reset without error later': [data(), RST(NO_ERROR)],
  'reset without error after GOAWAY, and the connection closed': [
    data(),
    Buffer.concat([GOAWAY, RST(NO_ERROR)]),
    'fin',
  ],
  'cancelled in one piece with its head': [Buffer.concat([data(), RST(CANCEL)])],
  'cancelled later': [data(), RST(CANCEL)],
  'left by GOAWAY and the end of the connection': [data(), GOAWAY, 'fin'],
  'left by the end of the connection': [data(), 'fin'],
  'left by a reset of the connection': [data(), 'reset'],
};

const wholes: Readonly<Record<string, readonly Step[]>> = {
  'ended in one piece with its head': [data(h2.END_STREAM)],
  'ended later': [data(), data(h2.END_STREAM)],
  'ended and reset without error, as if to stop an upload, in one piece': [
    Buffer.concat([data(h2.END_STREAM), RST(NO_ERROR)]),
  ],
  'ended and reset without error later': [data(), Buffer.concat([data(h2.END_STREAM), RST(NO_ERROR)])],
};

const calls = {
  'a gRPC call': [...post('application/grpc'), ['te', 'trailers']],
  'a gRPC-Web call': post('application/grpc-web+proto'),
  'a Connect stream': post('application/connect+proto'),
  'a Connect call': post('application/proto'),
  'a page': h2.plainGet,
} as const satisfies Record<string, ReadonlyArray<readonly [string, string]>>;

for (const [what, fields] of Object.entries(calls))
  for (const type of ['text/html', undefined, 'application/json'])
    describe(`${what} that an HTTP/2 service answers with 200 and ${type ?? 'no type'}`, () => {
      for (const [how, steps] of Object.entries(cuts))
        it(`is not complete when it is ${how}`, async () => {
          const end = await endOf(fields, await startHttp2(headFrame(type), steps));
          assert.equal(end.isClean, false, end.text);
        });
      for (const [how, steps] of Object.entries(wholes))
        it(`is complete when it is ${how}`, async () => {
          const end = await endOf(fields, await startHttp2(headFrame(type), steps));
          assert.equal(end.isClean, true, end.text);
          assert.equal(end.text, body.toString().repeat(steps.length));
        });
    });

describe('a gRPC call that an HTTP/2 service answers with a page, for want of its trailers', () => {
  it('is passed on with the trailers of a page', async () => {
    const trailers = h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, h2.fieldBlock([['x-checksum', '1']]));
    const end = await endOf(calls['a gRPC call'], await startHttp2(headFrame('text/html'), [data(), trailers]));
    assert.deepEqual([end.isClean, end.text], [true, body.toString()]);
  });
});

const http1Heads = {
  'a length that it does not keep': ['Content-Length: 1000\r\n', ''],
  'chunks without an end': ['Transfer-Encoding: chunked\r\n', '10\r\n'],
} as const;

for (const what of ['a gRPC-Web call', 'a Connect stream', 'a Connect call', 'a page'] as const)
  for (const [framing, [field, before]] of Object.entries(http1Heads))
    for (const end of ['fin', 'reset'] as const)
      it(`${what} over HTTP/2 that an HTTP/1.1 service answers with ${framing} is not complete after a ${end}`, async () => {
        const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n${field}\r\n${before}`);
        const { isClean, text } = await endOf(calls[what], await startHttp1(head, end));
        assert.equal(isClean, false, text);
      });

function post(type: string) {
  const [, ...rest] = h2.plainGet;
  return [[':method', 'POST'], ...rest, ['content-type', type]] as const;
}

function headFrame(type: string | undefined): Buffer {
  const fields = [[':status', '200'] as const, ...(type === undefined ? [] : [['content-type', type] as const])];
  return h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.fieldBlock(fields));
}

/** What became of the call at the caller's connection. */
async function endOf(
  fields: ReadonlyArray<readonly [string, string]>,
  { port, protocol }: { readonly port: number; readonly protocol: 'h2c' | 'http' },
): Promise<{ readonly isClean: boolean; readonly text: string }> {
  const door = await stage.front({ upstream: { port, protocol } });
  const caller = await h2.connectFrames({ host: '127.0.0.1', port: door.http2Port });
  caller.send(h2.requestFrame(1, fields));
  const ofCall = () => h2.framesIn(caller.received()).filter(({ stream }) => stream === 1);
  const isEnd = ({ type, flags }: h2.ReceivedFrame) =>
    type === h2.RST_STREAM || ((type === h2.DATA || type === h2.HEADERS) && (flags & h2.END_STREAM) !== 0);
  while (!ofCall().some(isEnd)) await once(caller.socket, 'data');
  const frames = ofCall();
  const text = frames.filter(({ type }) => type === h2.DATA).map(({ payload }) => payload.toString());
  return { isClean: frames.find(isEnd)?.type !== h2.RST_STREAM, text: text.join('') };
}

/** A service that speaks HTTP/2 in frames of the test's own. */
async function startHttp2(head: Buffer, [first, ...rest]: readonly Step[]) {
  const port = await listen((socket) => {
    let received = '';
    let isAnswered = false;
    socket.write(h2.frame(h2.SETTINGS, 0, 0));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const preface = 24;
      if (isAnswered || !h2.framesIn(received.slice(preface)).some(h2.isFor(h2.HEADERS, 1))) return;
      isAnswered = true;
      if (first instanceof Buffer) void act(socket, [Buffer.concat([head, first]), ...rest]);
    });
  });
  return { port, protocol: 'h2c' as const };
}

async function startHttp1(head: Buffer, end: 'fin' | 'reset') {
  const port = await listen((socket) => {
    socket.once('data', () => void act(socket, [head, body, end]));
  });
  return { port, protocol: 'http' as const };
}

async function act(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step === 'fin') socket.end();
    else if (step === 'reset') socket.resetAndDestroy();
    else await new Promise<void>((resolve) => socket.write(step, () => setImmediate(() => setImmediate(resolve))));
  }
}

async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  stage.onClose(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}
