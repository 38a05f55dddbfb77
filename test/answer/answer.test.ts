import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answer } from '../../src/answer/answer.ts';
import { refusalFor, refusalOf } from '../../src/answer/refusal.ts';
import { Failure, type FailureCode, failureCodes } from '../../src/failure.ts';
import type { Caller } from '../../src/server/caller.ts';
import type { Reply } from '../../src/server/exchange.ts';

const contentTypes: Readonly<Record<Caller, string | undefined>> = {
  navigation: undefined,
  api: undefined,
  grpc: 'application/grpc+proto',
  'grpc-web': 'application/grpc-web+proto',
  'grpc-web-text': 'application/grpc-web-text',
  'connect-unary': 'application/proto',
  'connect-streaming': 'application/connect+proto',
  websocket: undefined,
};
const callers = Object.keys(contentTypes) as Caller[];

function say(code: FailureCode, caller: Caller): Reply {
  return answer(refusalFor(code), {
    caller,
    contentType: contentTypes[caller],
    id: 'ref-1',
    signInAt: '/login?redirect_url=%2Fx',
    clearSession: 'session=; Max-Age=0',
  });
}

function field(reply: Reply, name: string): string | undefined {
  const at = reply.fields.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? undefined : reply.fields[at + 1];
}

/** The flag byte and payload of the one frame in a body. */
function frame(body: Reply['body']): { flag: number | undefined; text: string } {
  const bytes = Buffer.from(body ?? '');
  assert.equal(bytes.readUInt32BE(1), bytes.length - 5, 'the frame names its length');
  return { flag: bytes[0], text: bytes.subarray(5).toString() };
}

describe('a missing credential', () => {
  it('sends a navigation to sign in and back', () => {
    const reply = say('credential_missing', 'navigation');
    assert.equal(reply.status, 302);
    assert.equal(field(reply, 'location'), '/login?redirect_url=%2Fx');
    assert.equal(field(reply, 'www-authenticate'), undefined);
  });

  for (const caller of ['api', 'websocket', 'connect-unary'] as const) {
    it(`is a 401 with a challenge and one JSON shape for ${caller}`, () => {
      const reply = say('credential_missing', caller);
      assert.equal(reply.status, 401);
      assert.equal(field(reply, 'www-authenticate'), 'Bearer realm="flyte"');
      assert.deepEqual(Object.keys(JSON.parse(String(reply.body))), ['code', 'message', 'reference']);
      assert.equal(JSON.parse(String(reply.body)).code, 'unauthenticated');
    });
  }

  it('is trailers-only status 16 for gRPC', () => {
    const reply = say('credential_missing', 'grpc');
    assert.equal(reply.status, 200);
    assert.equal(field(reply, 'content-type'), 'application/grpc');
    assert.equal(field(reply, 'grpc-status'), '16');
    assert.match(field(reply, 'grpc-message') ?? '', /^[\x20-\x7e]+reference ref-1\)$/);
    assert.equal(reply.body, undefined);
  });

  it('is a trailer frame for gRPC-Web, base64 in its text form', () => {
    const binary = say('credential_missing', 'grpc-web');
    assert.equal(field(binary, 'content-type'), 'application/grpc-web+proto');
    assert.equal(field(binary, 'grpc-status'), '16');
    assert.equal(frame(binary.body).flag, 0x80);
    assert.match(frame(binary.body).text, /^grpc-status: 16\r\ngrpc-message: .+\r\n$/);
    const text = say('credential_missing', 'grpc-web-text');
    assert.deepEqual(Buffer.from(String(text.body), 'base64'), Buffer.from(binary.body ?? ''));
  });

  it('is one end-of-stream envelope for Connect streaming', () => {
    const reply = say('credential_missing', 'connect-streaming');
    assert.equal(reply.status, 200);
    assert.equal(field(reply, 'content-type'), 'application/connect+proto');
    assert.equal(frame(reply.body).flag, 0x02);
    assert.equal(JSON.parse(frame(reply.body).text).error.code, 'unauthenticated');
  });
});

describe('could not tell', () => {
  const unavailable = Object.keys(failureCodes).filter(
    (code) => refusalFor(code as FailureCode).rpc === 'unavailable',
  ) as FailureCode[];

  for (const code of unavailable) {
    for (const caller of callers) {
      it(`never says ${code} to ${caller} in words that make an SDK throw away its credentials`, () => {
        const reply = say(code, caller);
        const said = `${reply.fields.join(' ')} ${Buffer.from(reply.body ?? '').toString()}`;
        assert.doesNotMatch(said, /unauthori[sz]ed|unauthenticated/i);
        assert.notEqual(reply.status, 401);
        assert.notEqual(reply.status, 302);
        assert.equal(field(reply, 'retry-after'), '5');
      });
    }
  }

  it('stays unavailable whatever the cause was', () => {
    const refusal = refusalOf({ kind: 'unavailable', cause: new Failure('internal', 'odd') });
    assert.equal(refusal.rpc, 'unavailable');
    assert.equal(refusal.status, 503);
    assert.equal(refusal.code, 'internal');
  });
});

describe('a refusal', () => {
  it('clears a worthless cookie for every caller', () => {
    for (const caller of callers) {
      const reply = answer(refusalOf({ kind: 'sign-in', why: 'session_expired', clearCookie: true }), {
        caller,
        contentType: contentTypes[caller],
        id: 'ref-1',
        clearSession: 'session=; Max-Age=0',
      });
      assert.equal(field(reply, 'set-cookie'), 'session=; Max-Age=0', caller);
    }
  });

  it('names the missing scope by RFC 6750', () => {
    const refusal = refusalOf({ kind: 'deny', why: 'scope_missing', missing: 'deploy' });
    assert.equal(refusal.status, 403);
    assert.equal(refusal.challenge, 'Bearer realm="flyte", error="insufficient_scope", scope="deploy"');
    assert.equal(
      field(say('scope_missing', 'api'), 'www-authenticate'),
      'Bearer realm="flyte", error="insufficient_scope"',
    );
  });

  it('says invalid_token only when a token came', () => {
    assert.match(field(say('token_expired', 'api'), 'www-authenticate') ?? '', /error="invalid_token"/);
    assert.doesNotMatch(field(say('session_expired', 'api'), 'www-authenticate') ?? '', /error/);
  });

  it('is never kept by a cache', () => {
    for (const caller of callers)
      assert.equal(field(say('credential_missing', caller), 'cache-control'), 'no-store', caller);
  });
});
