import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { WebSocket } from 'ws';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, type RigOptions, startFakeRig } from './rig.ts';
import { type Proof, watchers } from './watchers.ts';

/** All that may pass between a sign-out and the end of what it ends. */
const IN_TIME_MS = 1000;

describe('what a session has open when it is signed out', { timeout: 60_000 }, () => {
  let rig: FakeRig;
  let cookie: string;
  let other: string;
  before(async () => {
    rig = await startFakeRig();
    ({ cookie } = await rig.signIn());
    ({ cookie: other } = await rig.signIn());
  });
  /** Signs a session of its own out, with something open. */
  const signOut = async (own: string) => {
    const { status } = await rig.ask('/logout', { fields: { cookie: own } });
    assert.equal(status, 302);
  };
  const own = async (): Promise<Proof> => ['cookie', (await rig.signIn()).cookie];

  for (const [name, watch] of Object.entries(watchers))
    it(`ends as unauthenticated, and not as done, to ${name}`, async () => {
      const proof = await own();
      const { ended } = await watch(rig.url, proof);
      const { code, message } = Object(await within(signOut(proof[1]).then(() => ended)));
      assert.equal(code, Code.Unauthenticated);
      assert.match(message, /the session was signed out/);
    });

  it('ends as a WebSocket cut short', async () => {
    const [, value] = await own();
    const socket = await openSocket(rig, value);
    const closed = once(socket, 'close');
    const [code] = await within(signOut(value).then(() => closed));
    assert.equal(code, 1006);
  });

  it('ends as server-sent events cut short, over HTTP/1.1', async () => {
    const [, value] = await own();
    const events = await openEvents(rig, value);
    const closed = new Promise((resolve) => events.once('close', resolve));
    events.on('error', () => undefined); // the cut, of which 'complete' tells
    await within(signOut(value).then(() => closed));
    assert.equal(events.complete, false);
  });

  it('ends as server-sent events cut short, over HTTP/2', async () => {
    const [, value] = await own();
    const session = connectHttp2(rig.url);
    endLater(async () => session.destroy());
    const stream = session.request({ ':path': '/api/v1/ticks', cookie: value });
    stream.on('error', () => undefined); // the reset, whose code is looked at
    await once(stream, 'data');
    const closed = new Promise((resolve) => stream.once('close', resolve));
    await within(signOut(value).then(() => closed));
    assert.notEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    assert.equal(session.destroyed, false, 'the connection may carry what others ask');
  });

  it('ends by the sign-out itself, and not when somebody happens to look', async () => {
    for (let again = 0; again < 8; again += 1) {
      const [, value] = await own();
      const socket = await openSocket(rig, value);
      const closed = once(socket, 'close');
      await within(
        signOut(value).then(() => closed),
        IN_TIME_MS / 2,
      );
    }
  });

  it('leaves what other sessions have open alone', async () => {
    const [mine, theirs] = [await openEvents(rig, cookie), await openEvents(rig, other)];
    mine.on('error', () => undefined);
    const closed = new Promise((resolve) => mine.once('close', resolve));
    await within(signOut(cookie).then(() => closed));
    await once(theirs, 'data');
    theirs.destroy();
  });

  it('is said in the log, once', async () => {
    const line = await rig.log.until((one) => one['event'] === 'streams.ended');
    assert.equal(line['why'], 'session_revoked');
    assert.match(String(line['session']), /^[\w-]{16}$/);
  });
});

describe('what a session waits for when it is signed out', { timeout: 30_000 }, () => {
  it('is answered 401, each in its own protocol, and the service behind is told', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    const rig = await startFakeRig({ upstream: upstream.url });
    const { cookie } = await rig.signIn();
    upstream.script({ kind: 'stall' });
    const plainArrived = upstream.next();
    const plain = rig.ask('/page', { fields: { cookie } });
    const { closed: plainClosed } = await plainArrived;
    const session = connectHttp2(rig.url);
    endLater(async () => session.destroy());
    const rpcArrived = upstream.next();
    const headers = { ':method': 'POST', ':path': '/s/M', 'content-type': 'application/grpc', te: 'trailers', cookie };
    const rpc = session.request(headers);
    rpc.end();
    const answered = once(rpc, 'response');
    const { closed: rpcClosed } = await rpcArrived;
    await rig.ask('/logout', { fields: { cookie } });
    const { status, json, all } = await within(plain);
    assert.deepEqual([status, json()['code']], [401, 'unauthenticated']);
    assert.match(all('set-cookie').join(), /__Host-flytegate=;.*Max-Age=0/);
    const [head] = await within(answered);
    assert.equal(head['grpc-status'], '16');
    rpc.resume();
    await within(Promise.all([plainClosed, rpcClosed]));
    const codes = rig.log.of('request.refused').map((line) => line['code']);
    assert.deepEqual(codes.slice(-2), ['session_revoked', 'session_revoked']);
  });
});

describe('the service behind what is signed out', { timeout: 30_000 }, () => {
  it('hears that its sockets, calls and answers are broken off, not that they ended well', async () => {
    const ends: Promise<readonly [what: string, how: unknown]>[] = [];
    const upstream = await startEchoUpstream({
      kind: 'by-hand',
      http1: (request, response) => {
        if (request.url === '/console') return void response.end('in');
        ends.push(new Promise((tell) => response.once('close', () => tell(['answer', response.writableFinished]))));
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
      http2: (stream) => {
        ends.push(new Promise((tell) => stream.once('close', () => tell(['call', stream.rstCode]))));
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(Buffer.from([0, 0, 0, 0, 1, 7]));
      },
      upgrade: (_request, socket) => {
        const lost = new Promise((tell) => socket.once('error', (error) => tell(Object(error).code)));
        ends.push(lost.then((code) => ['socket', code] as const));
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        socket.resume();
      },
    });
    endLater(upstream.close);
    const rig = await startFakeRig({ upstream: upstream.url });
    const { cookie } = await rig.signIn();
    const events = await openEvents(rig, cookie);
    events.on('error', () => undefined); // the cut
    const session = connectHttp2(rig.url);
    endLater(async () => session.destroy());
    // Both ways open, as calls of that kind are.
    const headers = { ':method': 'POST', ':path': '/s/M', 'content-type': 'application/grpc', te: 'trailers', cookie };
    const call = session.request(headers);
    const trailers = once(call, 'trailers');
    await once(call, 'data');
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket', cookie, origin: rig.url };
    const handshake = httpRequest(`${rig.url}/socket`, { headers: upgrade });
    handshake.end();
    const [, socket] = await once(handshake, 'upgrade');
    socket.on('error', () => undefined); // the reset
    await rig.ask('/logout', { fields: { cookie } });
    const [fields] = await within(trailers);
    assert.equal(fields['grpc-status'], '16');
    const heard = Object.fromEntries(await within(Promise.all(ends)));
    assert.deepEqual(heard, { answer: false, call: constants.NGHTTP2_CANCEL, socket: 'ECONNRESET' });
  });
});

describe('what is open when its right ends by time', { timeout: 60_000 }, () => {
  const open = async (options: RigOptions & Parameters<typeof startFakeRig>[0]) => {
    const rig = await startFakeRig(options);
    const { cookie } = await rig.signIn();
    const socket = await openSocket(rig, cookie);
    return { rig, cookie, socket, closed: once(socket, 'close') };
  };

  it('ends with the session’s idle limit', async () => {
    const { rig, closed } = await open({ settings: { 'session.idle': '10m' }, behaviour: { accessTokenTtlS: 86_400 } });
    rig.move(10 * 60_000);
    const [code] = await within(closed, 2 * IN_TIME_MS);
    assert.equal(code, 1006);
    assert.deepEqual([rig.log.of('streams.ended')[0]?.['why']], ['session_expired']);
  });

  it('goes on while the session is used elsewhere, until its absolute limit', async () => {
    const settings = { 'session.idle': '10m', 'session.absolute': '25m' };
    const { rig, cookie, socket, closed } = await open({ settings, behaviour: { accessTokenTtlS: 86_400 } });
    let carried = cookie;
    for (let used = 0; used < 2; used += 1) {
      rig.move(9 * 60_000);
      const { status, one } = await rig.ask('/me', { fields: { cookie: carried } });
      assert.equal(status, 200);
      carried = one('set-cookie')?.split(';')[0] ?? carried;
      // Longer than the ends by time are looked for; by somebody else, as it would be use of this one.
      const events = await openEvents(rig, (await rig.signIn()).cookie);
      for (let ticks = 0; ticks < 60; ticks += 1) await once(events, 'data');
      events.destroy();
      assert.equal(socket.readyState, WebSocket.OPEN);
    }
    rig.move(7 * 60_000);
    const [code] = await within(closed, 2 * IN_TIME_MS);
    assert.equal(code, 1006);
  });

  it('ends with the access token of a session that cannot be renewed', async () => {
    const { rig, closed } = await open({ behaviour: { refreshTokens: false } });
    rig.move(5 * 60_000);
    const [code] = await within(closed, 2 * IN_TIME_MS);
    assert.equal(code, 1006);
  });

  it('ends when the provider refuses to renew the session', async () => {
    const { rig, cookie, closed } = await open({});
    rig.provider.behaviour.answers.token = { status: 400, body: '{"error":"invalid_grant"}' };
    rig.move(4.9 * 60_000);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 401);
    const [code] = await within(closed);
    assert.equal(code, 1006);
  });

  it('ends with the bearer token that opened it, where streams.endAtExpiry says so', async () => {
    const rig = await startFakeRig({ settings: { 'streams.endAtExpiry': true } });
    const endings = [];
    for (const watch of Object.values(watchers)) {
      const proof: Proof = ['authorization', `Bearer ${await rig.provider.accessToken()}`];
      endings.push((await watch(rig.url, proof)).ended);
    }
    rig.move(299_000);
    rig.move(1000);
    for (const ended of await within(Promise.all(endings), 2 * IN_TIME_MS)) {
      assert.equal(Object(ended).code, Code.Unauthenticated);
      assert.match(Object(ended).message, /the bearer token has expired/);
    }
  });

  it('goes on after the bearer token’s expiry unless told otherwise', async () => {
    const rig = await startFakeRig();
    const headers = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/api/v1/echo`, { headers });
    await once(socket, 'open');
    rig.move(600_000);
    const { cookie } = await rig.signIn();
    const events = await openEvents(rig, cookie);
    for (let ticks = 0; ticks < 60; ticks += 1) await once(events, 'data');
    events.destroy();
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.terminate();
  });
});

async function openSocket(rig: FakeRig, cookie: string): Promise<WebSocket> {
  const headers = { cookie, origin: rig.url };
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/api/v1/echo`, { headers });
  await once(socket, 'open');
  return socket;
}

async function openEvents(rig: FakeRig, cookie: string): Promise<IncomingMessage> {
  const request = httpRequest(`${rig.url}/api/v1/ticks`, { headers: { cookie } });
  request.on('error', () => undefined); // the reset that its answer reports as well
  request.end();
  const [events]: IncomingMessage[] = await once(request, 'response');
  if (!events) throw new Error('no answer');
  await once(events, 'data');
  return events;
}

/** @throws when it takes longer than a sign-out may take */
async function within<T>(work: Promise<T>, ms = IN_TIME_MS): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
