import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import { listen, talk } from '../forward/front.ts';
import { createHttp2Stage } from '../forward/http2-stage.ts';
import { createStage } from '../forward/stage.ts';
import { openSession } from '../server/http2-client.ts';
import { connectFrames, DATA, END_HEADERS, END_STREAM, fieldBlock, frame, HEADERS } from '../server/raw-http2.ts';

const stage = createStage();
const http2 = createHttp2Stage();
after(async () => {
  await http2.close();
  await stage.close();
});

/** Names that HTTP/2 says once, as Node sees it: it throws when it is told to say them twice. */
const names = ['etag', 'expires', 'age', 'last-modified', 'user-agent', 'x-content-type-options', 'retry-after'];
const twice = names.flatMap((name) => [`${name}: 1\r\n`, `${name}: 2\r\n`]).join('');
const once1 = names.flatMap((name) => [name, '1']);

/** An HTTP/2 upstream that says anything twice. */
async function startRepeating(onStream: (stream: ServerHttp2Stream, raw: string[]) => void): Promise<number> {
  const server = createServer({ strictSingleValueFields: false });
  const sessions: { destroy(): void }[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, _headers, _flags, raw) => onStream(stream, raw));
  const port = await listen(server);
  stage.onClose(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return port;
}

const repeated = Object.fromEntries(names.map((name) => [name, ['1', '2']]));

describe('a caller who says a single field twice', () => {
  async function startListening() {
    const heard: { fields: string[]; trailers: Promise<string[]> }[] = [];
    const port = await startRepeating((stream, fields) => {
      const trailers = once(stream, 'trailers').then(([, , raw]) => raw);
      heard.push({ fields, trailers });
      stream.on('error', () => undefined);
      stream.resume().on('end', () => stream.respond({ ':status': 200 }, { endStream: true }));
    });
    return { heard, door: await http2.front({ upstream: { port } }) };
  }

  it('in the trailers of a gRPC call has the first of them passed on, and does no harm', async () => {
    const { heard, door } = await startListening();
    const connection = await connectFrames({ host: '127.0.0.1', port: door.http2Port });
    const pseudo = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':authority', 'h'],
      [':path', '/s/M'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ] as const;
    const trailers = names.flatMap((name) => [[name, '1'] as const, [name, '2'] as const]);
    const outcome = door.nextOutcome();
    connection.send(
      Buffer.concat([
        frame(HEADERS, END_HEADERS, 1, fieldBlock(pseudo)),
        frame(DATA, 0, 1, Buffer.alloc(5)),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, fieldBlock(trailers)),
      ]),
    );
    assert.equal((await outcome).kind, 'answered');
    assert.deepEqual(await heard[0]?.trailers, once1);
  });

  it('in the trailers of a chunked request has the first of them passed on over HTTP/2', async () => {
    const { heard, door } = await startListening();
    const request = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(await talk(door.http1Port, `${request}1\r\na\r\n0\r\n${twice}\r\n`), /^HTTP\/1\.1 200 /);
    assert.deepEqual(await heard[0]?.trailers, once1);
  });

  it('in the head is passed on over HTTP/2 as over HTTP/1.1: with both', async () => {
    const { heard, door } = await startListening();
    const request = `POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${twice}Transfer-Encoding: chunked\r\n\r\n`;
    assert.match(await talk(door.http1Port, `${request}0\r\nX: 1\r\n\r\n`), /^HTTP\/1\.1 200 /);
    const both = names.flatMap((name) => [name, '1', name, '2']);
    assert.deepEqual(heard[0]?.fields.slice(8, 8 + both.length), both);
  });
});

/** Everything that an HTTP/2 caller hears. */
async function hear(port: number) {
  const stream = openSession(port).request({ ':path': '/' });
  const interim: string[][] = [];
  const trailers: string[] = [];
  stream.on('headers', (_headers, _flags, raw) => interim.push(raw ?? []));
  stream.on('trailers', (_headers, _flags, raw) => trailers.push(...(raw ?? [])));
  const [headers, , fields] = await once(stream, 'response');
  let body = '';
  for await (const chunk of stream) body += chunk;
  return {
    status: headers[':status'],
    fields: fields.slice(2),
    interim: interim.map((raw) => raw.slice(2)),
    body,
    trailers,
  };
}

describe('a service that says a single field twice to an HTTP/2 caller', () => {
  const http1 = [
    `HTTP/1.1 103 Early Hints\r\n${twice}\r\n`,
    `HTTP/1.1 200 OK\r\n${twice}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${twice}\r\n`,
  ].join('');

  it('over HTTP/1.1 has the first of each passed on, in hints, head and trailers', async () => {
    const { door } = await stage.answering(http1);
    const wanted = { status: 200, fields: once1, interim: [once1], body: 'ok', trailers: once1 };
    assert.deepEqual(await hear(door.http2Port), wanted);
  });

  it('over HTTP/2 has the first of each passed on, in hints, head and trailers', async () => {
    const port = await startRepeating((stream) => {
      stream.additionalHeaders({ ':status': 103, ...repeated });
      stream.on('wantTrailers', () => stream.sendTrailers(repeated));
      stream.respond({ ':status': 200, ...repeated }, { waitForTrailers: true, sendDate: false } as object);
      stream.end('ok');
    });
    const door = await http2.front({ upstream: { port } });
    const wanted = { status: 200, fields: once1, interim: [once1], body: 'ok', trailers: once1 };
    assert.deepEqual(await hear(door.http2Port), wanted);
  });
});
