import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import type { Answer } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

type Credential = 'none' | 'bad' | 'unavailable';
type Fields = Readonly<Record<string, string>>;

interface Expected {
  readonly rpc: 'unauthenticated' | 'unavailable';
  readonly grpc: '16' | '14';
  readonly status: 401 | 503;
}

const outcomes: readonly (readonly [credential: Credential, expected: Expected])[] = [
  ['none', { rpc: 'unauthenticated', grpc: '16', status: 401 }],
  ['bad', { rpc: 'unauthenticated', grpc: '16', status: 401 }],
  ['unavailable', { rpc: 'unavailable', grpc: '14', status: 503 }],
];

const method = '/flytegate.demo.v1.EchoService/Unary';

describe('a refusal is said in the caller’s own protocol', () => {
  let rig: FakeRig;
  let credentials: Readonly<Record<Credential, Fields>>;
  before(async () => {
    // From the beginning: nobody ever gets a key.
    rig = await startFakeRig({ behaviour: { answers: { jwks: { status: 500 } } } });
    const token = await rig.provider.accessToken();
    credentials = {
      none: {},
      bad: { authorization: 'Bearer bad' },
      unavailable: { authorization: `Bearer ${token}` },
    };
  });
  const post = (fields: Fields) => rig.ask(method, { method: 'POST', fields, body: '' });

  for (const [credential, expected] of outcomes) {
    const isUnavailable = credential === 'unavailable';

    it(`navigation, ${credential}`, async () => {
      const asked = { 'sec-fetch-mode': 'navigate', accept: 'text/html,*/*;q=0.8', ...credentials[credential] };
      const answer = await rig.ask('/console?tab=1', { fields: asked });
      assert.equal(answer.status, isUnavailable ? 503 : 302);
      if (isUnavailable) assert.match(answer.text, /^<!doctype html>.*Reference <code>/s);
      else assert.equal(answer.one('location'), '/login?redirect_url=%2Fconsole%3Ftab%3D1');
      assert.deepEqual(answer.all('set-cookie'), []);
    });

    for (const [what, asked] of [
      ['XHR', { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: '*/*' }],
      ['XHR of an old browser', { 'x-requested-with': 'XMLHttpRequest', accept: 'text/html' }],
      ['subresource', { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image', accept: 'image/*' }],
      ['curl', { accept: '*/*', 'user-agent': 'curl/8' }],
      ['SSE', { accept: 'text/event-stream' }],
    ] as const) {
      it(`${what}, ${credential}`, async () => {
        const answer = await rig.ask('/api/v1/ticks', { fields: { ...asked, ...credentials[credential] } });
        assertJson(answer, expected);
        assertChallenge(answer, credential);
        assert.deepEqual(answer.all('set-cookie'), []);
      });
    }

    it(`gRPC, ${credential}`, async () => {
      const session = connectHttp2(rig.url);
      const fields = { 'content-type': 'application/grpc+proto', te: 'trailers', ...credentials[credential] };
      const stream = session.request({ ':method': 'POST', ':path': method, ...fields });
      stream.end();
      const [head] = await once(stream, 'response');
      stream.resume();
      await once(stream, 'end');
      session.close();
      assert.equal(head[':status'], 200);
      assert.match(head['content-type'], /^application\/grpc/);
      assert.equal(head['grpc-status'], expected.grpc);
      assertWords(decodeURIComponent(head['grpc-message']), credential);
    });

    it(`gRPC-Web, ${credential}`, async () => {
      const answer = await post({ 'content-type': 'application/grpc-web+proto', ...credentials[credential] });
      assertGrpcWeb(answer, answer.body, expected);
      assert.equal(answer.one('content-type'), 'application/grpc-web+proto');
    });

    it(`gRPC-Web text, ${credential}`, async () => {
      const answer = await post({ 'content-type': 'application/grpc-web-text', ...credentials[credential] });
      assertGrpcWeb(answer, Buffer.from(answer.text, 'base64'), expected);
      assert.equal(answer.one('content-type'), 'application/grpc-web-text');
    });

    for (const codec of ['proto', 'json']) {
      it(`Connect unary in ${codec}, ${credential}`, async () => {
        const asked = { 'content-type': `application/${codec}`, 'connect-protocol-version': '1' };
        const answer = await post({ ...asked, ...credentials[credential] });
        assertJson(answer, expected);
        assertWords(answer.text, credential);
      });

      it(`Connect streaming in ${codec}, ${credential}`, async () => {
        const answer = await post({ 'content-type': `application/connect+${codec}`, ...credentials[credential] });
        assert.equal(answer.status, 200);
        assert.equal(answer.one('content-type'), `application/connect+${codec}`);
        assert.equal(answer.body[0], 0x02);
        assert.equal(answer.body.readUInt32BE(1), answer.body.length - 5);
        const end = JSON.parse(answer.body.subarray(5).toString());
        assert.equal(end.error.code, expected.rpc);
        assertWords(end.error.message, credential);
      });
    }

    it(`WebSocket, ${credential}`, async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/api/v1/echo`, {
        headers: { ...credentials[credential] },
      });
      const [request, response] = await once(socket, 'unexpected-response');
      request.destroy();
      assert.equal(response.statusCode, expected.status);
    });
  }

  it('an RPC refusal, which is HTTP 200, is never said where no RPC can live', async () => {
    const fields = { 'content-type': 'application/grpc', te: 'trailers' };
    for (const path of ['/me', '/console', '/']) assert.equal((await rig.ask(path, { fields })).status, 401);
  });
});

describe('where a navigation is sent to sign in', () => {
  const host = 'app.example.com';
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig({
      settings: {
        routes: [
          { host, path: '/', upstream: 'control-plane' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
  });
  const locationFor = async (target: string, more: Fields = {}) =>
    (await rig.ask(target, { fields: { 'sec-fetch-mode': 'navigate', ...more } })).one('location');

  it('says the way back up to 1,024 bytes with its origin, and leaves out a longer one', async () => {
    const room = 1024 - rig.url.length;
    for (const [target, isSaid] of [
      [`/${'x'.repeat(room - 1)}`, true],
      [`/${'x'.repeat(room)}`, false],
      [`/a?b=${'x'.repeat(room - 5)}`, true],
      [`/a?b=${'x'.repeat(room - 4)}`, false],
      [`/a?b=${'x'.repeat(15_000)}`, false],
    ] as const) {
      const said = isSaid ? `/login?redirect_url=${encodeURIComponent(target)}` : '/login';
      assert.equal(await locationFor(target), said, `${target.length} bytes`);
    }
  });

  it('is the public URL from a host that is none of ours, without a way back there', async () => {
    assert.equal(await locationFor('/page?x=1', { host }), `${rig.url}/login`);
  });
});

function assertJson(answer: Answer, { status, rpc }: Expected): void {
  assert.equal(answer.status, status);
  assert.equal(answer.one('content-type'), 'application/json');
  const { code, message, reference } = answer.json();
  assert.equal(code, rpc);
  assert.ok(typeof message === 'string' && message !== '');
  assert.equal(reference, answer.one('x-request-id'));
}

function assertChallenge(answer: Answer, credential: Credential): void {
  const challenges = {
    none: 'Bearer realm="flyte"',
    bad: 'Bearer realm="flyte", error="invalid_token"',
    unavailable: undefined,
  };
  assert.equal(answer.one('www-authenticate'), challenges[credential]);
}

function assertGrpcWeb(answer: Answer, body: Buffer, { grpc }: Expected): void {
  assert.equal(answer.status, 200);
  assert.equal(answer.one('grpc-status'), grpc);
  assert.equal(body[0], 0x80);
  assert.equal(body.readUInt32BE(1), body.length - 5);
  assert.match(body.subarray(5).toString(), new RegExp(`^grpc-status: ${grpc}\r\n`));
}

/** Flyte's SDK throws its credentials away when it reads these words. */
function assertWords(message: string, credential: Credential): void {
  if (credential === 'unavailable') assert.doesNotMatch(message, /unauthenticated|unauthorized/i);
}
