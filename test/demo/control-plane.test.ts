import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Client, Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { WebSocket } from 'ws';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';

describe('the demo control plane', () => {
  const plane = createControlPlane({ port: 0, tickMs: 1 });
  let url: string;
  before(async () => {
    url = await plane.start();
  });
  after(() => plane.stop());

  it('shows a console that loads nothing from elsewhere and leads to sign-out', async () => {
    const response = await fetch(`${url}/`);
    assert.equal(response.url, `${url}/console`);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'.*connect-src 'self'/);
    const text = await response.text();
    assert.match(text, /href="\/logout"/);
    assert.doesNotMatch(text, /\bsrc=/);
    for (const [, digest] of (response.headers.get('content-security-policy') ?? '').matchAll(/'sha256-([^']+)'/g))
      assert.ok(inline(text).includes(digest ?? ''));
  });

  it('says which headers arrived and what they say of the person', async () => {
    const headers = { 'X-Auth-Request-User': Buffer.from('王').toString('latin1'), accept: 'application/json' };
    const who = JSON.parse(await (await fetch(`${url}/api/v1/whoami?x=1`, { headers })).text());
    assert.equal(who.target, '/api/v1/whoami?x=1');
    assert.equal(who.headers['x-auth-request-user'], '王');
    assert.deepEqual(who.identity, { 'x-auth-request-user': '王' });
  });

  it('answers 404 as JSON for what it does not have', async () => {
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['POST', '/api/v1/projects'],
    ] as const) {
      const response = await fetch(url + path, { method });
      assert.equal(response.status, 404);
      assert.equal(JSON.parse(await response.text()).path, path);
    }
  });

  it('digests an upload', async () => {
    const body = randomBytes(300_000);
    const sink = await (await fetch(`${url}/api/v1/upload`, { method: 'POST', body })).json();
    assert.deepEqual(sink, { bytes: 300_000, sha256: createHash('sha256').update(body).digest('hex') });
  });

  it('ticks as server-sent events', async () => {
    const response = await fetch(`${url}/api/v1/ticks`);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.includes('data: tick 3\n\n')) break;
    }
    assert.match(text, /^id: 1\ndata: tick 1\n\nid: 2\n/);
  });

  it('echoes WebSocket messages as they came', async () => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/echo`);
    await once(socket, 'open');
    for (const message of ['hello', Buffer.from([0, 255])]) {
      socket.send(message);
      const [data, isBinary] = await once(socket, 'message');
      assert.deepEqual([data, isBinary], [Buffer.from(message as string), typeof message !== 'string']);
    }
    socket.close();
    await once(socket, 'close');
  });

  it('refuses to upgrade anywhere else', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET /console HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  const transports: Record<string, () => Transport> = {
    'gRPC over h2c': () => createGrpcTransport({ baseUrl: url }),
    'gRPC-Web over HTTP/1.1': () => createGrpcWebTransport({ baseUrl: url, httpVersion: '1.1' }),
    'gRPC-Web over h2c': () => createGrpcWebTransport({ baseUrl: url, httpVersion: '2' }),
    'Connect over HTTP/1.1': () => createConnectTransport({ baseUrl: url, httpVersion: '1.1' }),
    'Connect over h2c': () => createConnectTransport({ baseUrl: url, httpVersion: '2' }),
  };
  for (const [name, transport] of Object.entries(transports)) {
    it(`answers all kinds of calls in ${name}, with trailers, identity and errors as asked`, () =>
      tryAll(createClient(EchoService, transport()), name));
  }
});

async function tryAll(client: Client<typeof EchoService>, name: string): Promise<void> {
  const headers = { 'x-auth-request-user': 'ada', 'flyte-authorization': 'Bearer x' };
  let trailer: string | null = null;
  const onTrailer = (trailers: Headers) => {
    trailer = trailers.get('echo-trailer');
  };
  const unary = await client.unary({ text: 'hi' }, { headers, onTrailer });
  assert.equal(unary.text, 'hi');
  assert.deepEqual(unary.identity, { 'x-auth-request-user': 'ada' });
  assert.equal(unary.hasBearer, true);
  assert.equal(trailer, 'seen');
  assert.deepEqual(await numbers(client.serverStream({ text: 'hi', count: 3 })), [1, 2, 3]);
  assert.equal((await client.clientStream(texts('a', 'b'))).text, 'a b');
  if (!name.endsWith('1.1')) assert.deepEqual(await numbers(client.bidiStream(texts('a', 'b'))), [1, 2]);
  await assert.rejects(client.unary({ text: 'no', failWith: 7 }), isCode(Code.PermissionDenied));
  await assert.rejects(numbers(client.serverStream({ count: 2, failWith: 14 })), isCode(Code.Unavailable));
  await assert.rejects(client.unary({ failWith: 99 }), isCode(Code.InvalidArgument));
}

function isCode(code: Code): (error: unknown) => boolean {
  return (error) => ConnectError.from(error).code === code;
}

async function* texts(...all: string[]): AsyncGenerator<{ text: string }> {
  for (const text of all) yield { text };
}

async function numbers(stream: AsyncIterable<{ number: number }>): Promise<number[]> {
  const all: number[] = [];
  for await (const { number } of stream) all.push(number);
  return all;
}

function inline(html: string): string[] {
  return [...html.matchAll(/<(style|script)>([\s\S]*?)<\/\1>/g)].map(([, , text]) =>
    createHash('sha256')
      .update(text ?? '')
      .digest('base64'),
  );
}
