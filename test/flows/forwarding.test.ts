import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

describe('the demo’s control plane through the gateway', () => {
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    rig = await startFakeRig();
    ({ cookie } = await rig.signIn());
  });
  const socket = (headers: Record<string, string>, host = 'localhost') =>
    new WebSocket(`ws://${host}:${rig.port}/api/v1/echo`, { headers });

  it('answers its JSON API', async () => {
    const answer = await rig.ask('/api/v1/projects', { fields: { cookie } });
    assert.equal(Object(answer.json()['projects']).length, 2);
  });

  it('takes an upload whole', async () => {
    const body = randomBytes(8 << 20);
    const fields = { cookie, origin: rig.url, 'content-type': 'application/octet-stream' };
    const answer = await rig.ask('/api/v1/upload', { method: 'POST', fields, body });
    const sha256 = createHash('sha256').update(body).digest('hex');
    assert.deepEqual(answer.json(), { bytes: body.length, sha256 });
  });

  it('takes no upload from a page of another origin with only a cookie', async () => {
    for (const foreign of [{ origin: 'https://evil.test' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
      const answer = await rig.ask('/api/v1/upload', { method: 'POST', fields: { cookie, ...foreign }, body: 'x' });
      assert.equal(answer.status, 403);
    }
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const fields = { authorization, origin: 'https://evil.test' };
    const byToken = await rig.ask('/api/v1/upload', { method: 'POST', fields, body: 'x' });
    assert.equal(byToken.status, 200, 'a bearer stands for its own origin');
  });

  it('echoes on a WebSocket, by cookie and by bearer', async () => {
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    for (const headers of [{ cookie, origin: rig.url }, { cookie }, { authorization, origin: 'https://evil.test' }]) {
      const ws = socket(headers);
      await once(ws, 'open');
      for (const text of ['one', 'two', 'x'.repeat(100_000)]) {
        ws.send(text);
        assert.equal(String((await once(ws, 'message'))[0]), text);
      }
      ws.close(4001, 'bye');
      assert.equal((await once(ws, 'close'))[0], 4001, 'closing goes through both ways');
    }
  });

  it('refuses a WebSocket handshake from a page of another origin', async () => {
    for (const origin of ['https://evil.test', 'null', `http://localhost:${rig.port + 1}`]) {
      const [request, response] = await once(socket({ cookie, origin }), 'unexpected-response');
      request.destroy();
      assert.equal(response.statusCode, 403);
    }
  });
});

describe('what goes through', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: {
        routes: [
          { path: '/public', upstream: 'control-plane', access: 'public' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
    ({ cookie } = await rig.signIn());
  });
  const open = async (path: string, method = 'GET'): Promise<[ClientRequest, Promise<IncomingMessage>]> => {
    const request = httpRequest(rig.url + path, { method, headers: { cookie, origin: rig.url } });
    return [request, once(request, 'response').then(([response]) => response)];
  };

  it('by a public route carries no identity, no bearer and no cookie of ours, whoever asks', async () => {
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const fields = {
      authorization,
      'flyte-authorization': authorization,
      cookie: `a=1; ${cookie}; b=2`,
      'x-auth-request-user': 'root',
      x_user_subject: 'root',
      'x-kept': 'yes',
    };
    for (const sent of [fields, { ...fields, authorization: 'Bearer bad' }]) {
      const answer = await rig.ask('/public/page', { fields: sent });
      assert.equal(answer.status, 200);
      const received = namesOf(upstream);
      for (const name of [
        'authorization',
        'flyte-authorization',
        'x-auth-request-user',
        'x_user_subject',
        'x-user-subject',
      ])
        assert.ok(!received.has(name), name);
      assert.equal(received.get('cookie')?.replaceAll(' ', ''), 'a=1;b=2');
      assert.equal(received.get('x-kept'), 'yes');
    }
  });

  it('is the target byte for byte', async () => {
    for (const target of ['/a%20b/%C3%BC;v=1?x=%2F..%2F&y=//&z', '/a~b!$&()*+,=:@-._']) {
      await rig.ask(target, { fields: { cookie } });
      assert.equal(upstream.requests.at(-1)?.target, target);
    }
  });

  it('is each server-sent event as soon as it is sent', async () => {
    let more: (() => void) | undefined;
    upstream.script({
      kind: 'by-hand',
      http1: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        more = () => response.end('data: 2\n\n');
      },
    });
    const [request, answered] = await open('/events');
    request.end();
    const response = await answered;
    // The second is not even written before the first has come.
    assert.equal(String((await once(response, 'data'))[0]), 'data: 1\n\n');
    more?.();
    assert.equal(String((await once(response, 'data'))[0]), 'data: 2\n\n');
    upstream.script({ kind: 'echo' });
  });

  it('is held back when the upstream does not read an upload', async () => {
    let taken: IncomingMessage | undefined;
    upstream.script({
      kind: 'by-hand',
      http1: (incoming, response) => {
        taken = incoming;
        incoming.pause();
        incoming.once('end', () => response.end('done'));
      },
    });
    const arrived = upstream.next();
    const [request, answered] = await open('/upload', 'POST');
    let sent = 0;
    let isFull = false;
    const pump = () => {
      while (!isFull && sent < limit) {
        sent += chunk.length;
        if (!request.write(chunk)) return void request.once('drain', pump);
      }
    };
    pump();
    await arrived;
    await standsStill(() => sent);
    isFull = true;
    assert.ok(sent < limit, 'the upload went on without a reader');
    request.end();
    taken?.resume();
    assert.equal((await answered).statusCode, 200);
    (await answered).resume();
    upstream.script({ kind: 'echo' });
  });

  it('is held back when the caller does not read a download', async () => {
    let sent = 0;
    upstream.script({
      kind: 'by-hand',
      http1: (_request, response) => {
        const pump = () => {
          while (sent < limit && !response.destroyed) {
            sent += chunk.length;
            if (!response.write(chunk)) return void response.once('drain', pump);
          }
        };
        response.writeHead(200);
        pump();
      },
    });
    const [request, answered] = await open('/download');
    request.end();
    const response = await answered;
    response.pause();
    await standsStill(() => sent);
    assert.ok(sent < limit, 'the download went on without a reader');
    const gone = upstream.requests.at(-1)?.closed;
    request.destroy();
    await gone;
    upstream.script({ kind: 'echo' });
  });

  it('is an answer cut short as one that is cut short', async () => {
    upstream.script({
      kind: 'by-hand',
      http1: (request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half', () => request.socket.destroy());
      },
    });
    await assert.rejects(rig.ask('/half', { fields: { cookie } }));
    upstream.script({ kind: 'echo' });
    const line = await rig.log.until((one) => one['path'] === '/half');
    assert.equal(line['complete'], false);
  });

  it('is a failure of the upstream as 502 or 504, and never as a sign-in', async () => {
    upstream.script({ kind: 'reset' });
    const answer = await rig.ask('/broken', { method: 'POST', fields: { cookie, origin: rig.url }, body: 'x' });
    upstream.script({ kind: 'echo' });
    assert.equal(answer.status, 502);
    assert.equal(answer.json()['code'], 'unavailable');
  });

  /** Ends when the count has not moved over 30 requests made one after the other meanwhile. */
  async function standsStill(count: () => number): Promise<void> {
    let last = -1;
    for (let quiet = 0; quiet < 30 && count() < limit; quiet++) {
      await rig.ask('/me', { fields: { cookie } });
      if (count() !== last) quiet = 0;
      last = count();
    }
  }
});

const chunk = Buffer.alloc(65_536);
/** More than the buffers of three processes and two connections hold. */
const limit = 256 << 20;

function namesOf(upstream: EchoUpstream): Map<string, string> {
  const { fields = [] } = upstream.requests.at(-1) ?? {};
  const pairs = fields.flatMap((name, i) => (i % 2 === 0 ? [[name.toLowerCase(), fields[i + 1] ?? ''] as const] : []));
  return new Map(pairs);
}
