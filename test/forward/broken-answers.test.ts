import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type ClientHttp2Stream, connect as connectHttp2, type ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import type { Front } from './front.ts';
import { createHttp2Stage } from './http2-stage.ts';
import { createStage } from './stage.ts';

const stage = createHttp2Stage();
const raw = createStage();
after(stage.close);
after(raw.close);

function envelope(flags: number, payload: string): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, Buffer.from(payload)]);
}

const message = envelope(0, 'a message');
const plain = (bytes: Buffer) => bytes;
const base64 = (bytes: Buffer) => Buffer.from(bytes.toString('base64'));

const tongues = [
  { type: 'application/connect+proto', endFlag: 0x02, form: plain },
  { type: 'application/connect+json; charset=utf-8', endFlag: 0x02, form: plain },
  { type: 'application/grpc-web+proto', endFlag: 0x80, form: plain },
  { type: 'application/GRPC-Web', endFlag: 0x80, form: plain },
  { type: 'application/grpc-web-text', endFlag: 0x80, form: base64 },
] as const;

/** What came of an answer after its upstream broke off: all the bytes, and whether the end looked regular. */
interface Outcome {
  readonly body: Buffer;
  readonly isRegular: boolean;
}

const callers = [
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
] as const;

for (const [name, call] of callers)
  describe(`an answer that breaks off in the middle, for a caller over ${name}`, { timeout: 60_000 }, () => {
    for (const { type, endFlag, form } of tongues) {
      it(`ends in the words of ${type} between two envelopes`, async () => {
        const { body, isRegular } = await call(type, form(Buffer.concat([message, message])));
        assert.equal(isRegular, true);
        const words = wordsAfter(body, form(Buffer.concat([message, message])), form === base64);
        assert.equal(words[0], endFlag);
        assert.equal(words.readUInt32BE(1), words.length - 5);
        assertUnavailable(words.subarray(5).toString(), endFlag);
      });

      it(`ends in the words of ${type} before the first envelope`, async () => {
        const { body, isRegular } = await call(type, Buffer.alloc(0));
        assert.equal(isRegular, true);
        assertUnavailable(
          wordsAfter(body, Buffer.alloc(0), form === base64)
            .subarray(5)
            .toString(),
          endFlag,
        );
      });

      it(`is reset inside an envelope of ${type}`, async () => {
        const part = form(Buffer.concat([message, message.subarray(0, 10)]));
        assert.deepEqual(await call(type, part), { body: part, isRegular: false });
      });

      it(`is reset, and gets no second end, after the service's own end in ${type}`, async () => {
        const whole = form(Buffer.concat([message, envelope(endFlag, '{}')]));
        assert.deepEqual(await call(type, whole), { body: whole, isRegular: false });
      });
    }

    for (const type of ['application/proto', 'application/json', 'text/event-stream', 'application/connectx+proto'])
      it(`is reset when it is ${type}`, async () => {
        assert.deepEqual(await call(type, message), { body: message, isRegular: false });
      });

    for (const [field, value] of [
      ['content-length', '1000'],
      ['content-encoding', 'gzip'],
    ] as const)
      it(`is reset when it has ${field}, whatever its type`, async () => {
        const outcome = await call('application/connect+proto', message, { [field]: value });
        assert.deepEqual(outcome, { body: message, isRegular: false });
      });
  });

describe('a gRPC answer that breaks off in the middle', { timeout: 60_000 }, () => {
  it('ends by trailers, inside a message as well', async () => {
    const { stream, trailers } = await grpcCall('application/grpc+proto', message.subarray(0, 7));
    const received = await trailers;
    assert.equal(received['grpc-status'], '14');
    assert.match(String(received['grpc-message']), /^the service broke off its answer \(reference ref-1\)$/);
    assert.equal(stream.rstCode, 0);
  });

  it('is reset when it announced a length', async () => {
    const { stream } = await grpcCall('application/grpc', message.subarray(0, 7), { 'content-length': '1000' });
    await once(stream, 'close').catch(() => undefined);
    assert.equal(stream.rstCode, 2);
  });
});

describe('an HTTP/1.1 upstream that breaks off in the middle', { timeout: 60_000 }, () => {
  it('ends in the words of Connect between two envelopes, too', async () => {
    const upstream = await raw.raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/connect+proto\r\nTransfer-Encoding: chunked\r\n\r\n');
      socket.write(`${message.length.toString(16)}\r\n${message.toString('latin1')}\r\n`, 'latin1');
    });
    const door = await raw.front({ upstream: { port: upstream.port } });
    const { response, outcome } = await askHttp1(door);
    await once(response, 'data');
    upstream.sockets[0]?.resetAndDestroy();
    const { body, isRegular } = await outcome;
    assert.equal(isRegular, true);
    assertUnavailable(body.subarray(message.length + 5).toString(), 0x02);
  });
});

function assertUnavailable(words: string, endFlag: number): void {
  assert.doesNotMatch(words, /unauthorized|unauthenticated/i);
  if (endFlag === 0x02) {
    assert.deepEqual(JSON.parse(words), {
      error: { code: 'unavailable', message: 'the service broke off its answer', reference: 'ref-1' },
    });
  } else assert.match(words, /^grpc-status: 14\r\ngrpc-message: [\x20-\x7e]+\r\n$/);
}

function wordsAfter(body: Buffer, before: Buffer, isBase64: boolean): Buffer {
  assert.deepEqual(body.subarray(0, before.length), before);
  const words = body.subarray(before.length);
  return isBase64 ? Buffer.from(words.toString(), 'base64') : words;
}

/** A door to a service that sends a head and some bytes, and breaks off when told. */
async function breaking(type: string, bytes: Buffer, more: Readonly<Record<string, string>> = {}) {
  const streams: ServerHttp2Stream[] = [];
  const upstream = await stage.startUpstream((stream) => {
    streams.push(stream);
    stream.respond({ ':status': 200, 'content-type': type, ...more }, { waitForTrailers: true });
    if (bytes.length > 0) stream.write(bytes);
  });
  const door = await stage.front({ upstream: { port: upstream.port } });
  return { door, breakOff: () => streams[0]?.close(2) };
}

async function overHttp1(type: string, bytes: Buffer, more?: Readonly<Record<string, string>>): Promise<Outcome> {
  const { door, breakOff } = await breaking(type, bytes, more);
  const { response, outcome } = await askHttp1(door);
  if (bytes.length > 0) await once(response, 'data');
  breakOff();
  return outcome;
}

async function askHttp1(door: Front): Promise<{ response: IncomingMessage; outcome: Promise<Outcome> }> {
  const request = httpRequest({ host: '127.0.0.1', port: door.http1Port, agent: false });
  request.on('error', () => undefined); // the reset that its answer reports as well
  request.end();
  const [response]: IncomingMessage[] = await once(request, 'response');
  if (response === undefined) throw new Error('no response');
  return { response, outcome: outcomeOf(response, () => response.complete) };
}

async function overHttp2(type: string, bytes: Buffer, more?: Readonly<Record<string, string>>): Promise<Outcome> {
  const { door, breakOff } = await breaking(type, bytes, more);
  const stream = stage.caller(door).request({ ':path': '/' });
  await once(stream, 'response');
  const outcome = outcomeOf(stream, () => stream.rstCode === 0);
  if (bytes.length > 0) await once(stream, 'data');
  breakOff();
  return outcome;
}

function outcomeOf(stream: IncomingMessage | ClientHttp2Stream, isRegular: () => boolean): Promise<Outcome> {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('error', () => undefined); // the reset, which `isRegular` tells of
  return new Promise((resolve) => {
    stream.once('close', () => resolve({ body: Buffer.concat(parts), isRegular: isRegular() }));
  });
}

async function grpcCall(type: string, bytes: Buffer, more?: Readonly<Record<string, string>>) {
  const { door, breakOff } = await breaking(type, bytes, more);
  const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
  raw.onClose(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': '/s/M', 'content-type': 'application/grpc' });
  stream.on('error', () => undefined);
  stream.end();
  const trailers = new Promise<Readonly<Record<string, unknown>>>((resolve) => stream.once('trailers', resolve));
  await once(stream, 'data');
  stream.resume();
  breakOff();
  return { stream, trailers };
}
