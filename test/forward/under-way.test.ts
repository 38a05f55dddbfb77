import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { after, describe, it } from 'node:test';
import { createUnderWay, type Ending, type UnderWay } from '../../src/forward/under-way.ts';
import type { SessionMarks } from '../../src/session/marks.ts';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { type Front, startFront, talk } from './front.ts';

const undo: (() => Promise<void>)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

const marks = (handle: string): SessionMarks => ({ handle, issuer: 'i', subject: 's', startedAt: 0 });
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function stage() {
  const revoked = new Set<string>();
  let now = 1000;
  const lines: unknown[] = [];
  const log = { ...quiet, info: (event: string, facts?: object) => lines.push({ event, ...facts }) };
  const ended: Record<string, number> = {};
  const metrics = {
    streamsEnded: (why: string, count: number) => {
      ended[why] = (ended[why] ?? 0) + count;
    },
  };
  const underWay = createUnderWay({ isRevoked: ({ handle }) => revoked.has(handle), now: () => now, log, metrics });
  return {
    underWay,
    lines,
    ended,
    revoke: (handle: string) => {
      revoked.add(handle);
      underWay.revoked();
    },
    move: (ms: number) => {
      now += ms;
    },
  };
}

/** Something under way that leaves when it is told to end so many times. */
function member(underWay: UnderWay, life: { session?: SessionMarks; expiresAt: number }, patience = 1) {
  const told: string[] = [];
  const ended = Promise.withResolvers<readonly string[]>();
  const one: Ending = {
    end: (why) => {
      told.push(why);
      if (told.length < patience) return;
      held.leave(one);
      ended.resolve(told);
    },
  };
  const held = underWay.begin(one, life);
  return { one, held, told, ended: ended.promise };
}

describe('what is under way', () => {
  it('ends with its session, wherever that was signed out, and nothing else does', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { underWay, revoke } = stage();
    const [mine, theirs] = ['a', 'b'].map((handle) => member(underWay, { session: marks(handle), expiresAt: 1e12 }));
    revoke('a');
    // It would look by itself after a second.
    t.mock.timers.tick(100);
    assert.deepEqual(mine?.told, ['session_revoked']);
    assert.deepEqual(theirs?.told, []);
  });

  it('is told again when it has not ended, and is logged once', async () => {
    const { underWay, revoke, lines, ended: counted } = stage();
    const { ended } = member(underWay, { session: marks('a'), expiresAt: 1e12 }, 3);
    revoke('a');
    assert.deepEqual(await ended, ['session_revoked', 'session_revoked', 'session_revoked']);
    assert.deepEqual(lines, [{ event: 'streams.ended', why: 'session_revoked', count: 1, session: 'a' }]);
    assert.deepEqual(counted, { session_revoked: 1 });
  });

  it('does not begin any more by a right that was taken back', () => {
    const { underWay, revoke } = stage();
    assert.equal(underWay.whyOver({ session: marks('a'), expiresAt: 1e12 }), undefined);
    revoke('a');
    assert.equal(underWay.whyOver({ session: marks('a'), expiresAt: 1e12 }), 'session_revoked');
  });

  it('ends when its session does, and goes on with one that is proved again', async () => {
    const { underWay, move } = stage();
    const idle = member(underWay, { session: marks('idle'), expiresAt: 2000 });
    const used = member(underWay, { session: marks('used'), expiresAt: 2000 });
    underWay.seen({ session: marks('used'), expiresAt: 9000 });
    move(1000);
    assert.deepEqual(await idle.ended, ['session_expired']);
    assert.deepEqual(used.told, []);
  });

  it('is not carried over to what begins after its session was found over', async () => {
    const { underWay } = stage();
    const life = { session: marks('a'), expiresAt: 1e12 };
    const early = member(underWay, life, 2);
    underWay.over(marks('a'));
    const late = member(underWay, life);
    assert.deepEqual(await early.ended, ['session_expired', 'session_expired']);
    assert.deepEqual(late.told, []);
  });

  it('ends with a bearer token, which gets its minute of leeway where it came by that', async () => {
    const { underWay, move } = stage();
    const alive = member(underWay, { expiresAt: 2000 });
    const late = member(underWay, { expiresAt: 500 });
    move(1000);
    assert.deepEqual(await alive.ended, ['token_expired']);
    assert.deepEqual(late.told, []);
    move(59_000);
    assert.deepEqual(await late.ended, ['token_expired']);
  });

  it('is counted one by one, by why it ended', async () => {
    const { underWay, revoke, move, ended } = stage();
    const all = ['a', 'a', 'b'].map((handle) => member(underWay, { session: marks(handle), expiresAt: 2000 }));
    const bearer = member(underWay, { expiresAt: 2000 });
    revoke('a');
    await all[1]?.ended;
    move(1000);
    await Promise.all([...all, bearer].map((one) => one.ended));
    assert.deepEqual(ended, { session_revoked: 2, session_expired: 1, token_expired: 1 });
  });

  it('is forgotten when it is done', async () => {
    const { underWay, revoke, lines } = stage();
    for (let n = 0; n < 1000; n += 1) {
      const { held, one } = member(underWay, { session: marks('a'), expiresAt: 1e12 });
      held.leave(one);
    }
    const last = member(underWay, { session: marks('b'), expiresAt: 1e12 });
    revoke('a');
    revoke('b');
    await last.ended;
    assert.equal(lines.length, 1);
  });
});

describe('a request that was let in a moment before its session was signed out', () => {
  it('does not reach the service', async () => {
    const { underWay, revoke } = stage();
    const upstream = await startEchoUpstream();
    undo.push(upstream.close);
    const front = await startFront({
      upstream: { port: upstream.port },
      underWay,
      plan: { life: { session: marks('a'), expiresAt: 1e12 } },
    });
    undo.push(front.close);
    revoke('a');
    const outcome = front.nextOutcome();
    await talk(front.http1Port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const ended = await outcome;
    assert.equal(ended.kind === 'failed' && ended.code, 'session_revoked');
    assert.equal(upstream.requests.length, 0);
  });
});

describe('a stream that is signed out inside a message', () => {
  for (const type of ['application/connect+proto', 'application/grpc-web+proto'])
    it(`is reset, as nothing more can be said there: ${type}`, async () => {
      const { stream, revoke } = await open(type, Buffer.from([0, 0, 0, 0, 9, 1, 2]));
      const closed = new Promise((resolve) => stream.once('close', resolve));
      revoke();
      await closed;
      assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
    });

  it('ends between two messages with one more that says unauthenticated', async () => {
    const { stream, revoke } = await open('application/connect+proto', Buffer.from([0, 0, 0, 0, 1, 7]));
    let rest = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
    });
    const closed = new Promise((resolve) => stream.once('close', resolve));
    revoke();
    await closed;
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    assert.equal(rest[0], 0x02);
    assert.equal(JSON.parse(rest.subarray(5).toString()).error.code, 'unauthenticated');
  });
});

describe('a caller who takes nothing', { timeout: 20_000 }, () => {
  it('is reset when the session is signed out, and so is the upstream', async () => {
    const { underWay, revoke } = stage();
    const upstream = await startEchoUpstream({
      kind: 'by-hand',
      http1: (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/grpc' });
        const more = () => {
          while (response.write(Buffer.from([0, 0, 0, 0, 1, 7])));
        };
        response.on('drain', more);
        more();
      },
    });
    undo.push(upstream.close);
    const front = await startFront({
      upstream: { port: upstream.port },
      underWay,
      plan: { life: { session: marks('a'), expiresAt: 1e12 } },
    });
    undo.push(front.close);
    const arrived = upstream.next();
    const session = connectHttp2(`http://127.0.0.1:${front.http2Port}`);
    undo.push(async () => session.destroy());
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined); // the reset that is waited for
    await once(stream, 'readable');
    await untilStuck(front, session);
    const { closed } = await arrived;
    const outcome = front.nextOutcome();
    revoke('a');
    await closed;
    const ended = await outcome;
    assert.equal(ended.kind === 'answered' && ended.complete, false);
  });
});

/** Waits until the caller's side has taken all that it will. */
async function untilStuck(front: Front, lifeline: { destroyed: boolean }): Promise<void> {
  for (let same = 0; same < 200; ) {
    assert.ok(!lifeline.destroyed, 'the connection ended before it came to that');
    await new Promise(setImmediate);
    const wire = front.lastWire();
    same = wire?.kind === 'http2' && wire.stream.writableNeedDrain ? same + 1 : 0;
  }
}

/** A stream of a session over HTTP/2, whose first bytes have come. */
async function open(type: string, first: Buffer): Promise<{ stream: ClientHttp2Stream; revoke(): void }> {
  const { underWay, revoke } = stage();
  const upstream = await startEchoUpstream({
    kind: 'by-hand',
    http1: (_request, response) => {
      response.writeHead(200, { 'content-type': type });
      response.write(first);
    },
  });
  undo.push(upstream.close);
  const front = await startFront({
    upstream: { port: upstream.port },
    underWay,
    plan: { life: { session: marks('a'), expiresAt: 1e12 } },
  });
  undo.push(front.close);
  const session = connectHttp2(`http://127.0.0.1:${front.http2Port}`);
  undo.push(async () => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': '/s/M', 'content-type': type });
  stream.on('error', () => undefined); // a reset, whose code is looked at
  stream.end();
  await once(stream, 'data');
  return { stream, revoke: () => revoke('a') };
}
