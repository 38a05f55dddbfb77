import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ForwardPlan } from '../../src/forward/forward.ts';
import { createHeaders, type Hop } from '../../src/forward/headers.ts';
import type { Exchange } from '../../src/server/exchange.ts';
import { Fields } from '../../src/server/request-head.ts';

const headers = createHeaders({
  isIdentityHeader: (name) => name.toLowerCase().replaceAll('_', '-').startsWith('x-auth-request-'),
  isOurCookie: (name) => name === '__Host-flytegate',
  flyteHeaders: ['flyte-authorization'],
});

const ours = [
  'X-Forwarded-For',
  '192.0.2.7',
  'X-Forwarded-Proto',
  'https',
  'X-Forwarded-Host',
  'as.sent:8443',
  'X-Request-ID',
  'ref-1',
];

function exchange(raw: readonly string[], version: '1.1' | '2' = '1.1'): Exchange {
  const request = {
    method: 'GET',
    target: '/',
    authority: 'As.Sent:8443',
    version,
    encrypted: false,
    peer: '127.0.0.1',
  };
  // The wire is not looked at by these rules.
  const wire = { kind: 'http1' } as Exchange['wire'];
  const head = { ...request, fields: new Fields(raw) };
  return { head, wire, connection: wire, id: 'ref-1', startedAt: 0, isGone: false, send: () => undefined };
}

function forwarded(
  raw: readonly string[],
  hop: Hop = 'http1',
  plan: Partial<ForwardPlan> = {},
  version: '1.1' | '2' = '1.1',
) {
  const client = { address: '192.0.2.7', scheme: 'https' as const, host: 'as.sent:8443' };
  const nothing = { identity: [], bearer: undefined, isPublic: false, maxBodyBytes: undefined };
  const whole: ForwardPlan = { upstream: 'up', ...nothing, client, ...plan };
  return headers.request(exchange(raw, version), whole, hop);
}

describe('request fields', () => {
  it('go on in order, case and number, byte for byte', () => {
    const raw = [
      'X-B',
      '1',
      'x-a',
      ' odd  spacing',
      'X-b',
      '2',
      'Accept',
      '*/*',
      'X-Latin',
      'caf\u00e9',
      'constructor',
      '1',
    ];
    assert.deepEqual(forwarded(raw).fields, ['Host', 'As.Sent:8443', ...raw, ...ours]);
  });

  it('have the Host as the caller sent it, whatever the proxy in front says the client wanted', () => {
    assert.deepEqual(forwarded(['HOST', 'other', 'X-Forwarded-Host', 'evil']).fields.slice(0, 2), [
      'Host',
      'As.Sent:8443',
    ]);
  });

  for (const hop of ['http1', 'http2', 'upgrade'] as const) {
    it(`include Proxy-Authorization over ${hop} where the upstream asks for it, and no second spelling of it`, () => {
      const sent = ['Proxy-Authorization', 'Bearer x', 'Proxy_Authorization', 'Bearer y'];
      const { fields } = forwarded(sent, hop, { passesProxyAuthorization: true });
      const found = fields.filter((_, i) => /^proxy.authorization$/i.test(fields[i - 1] ?? ''));
      assert.deepEqual(found, ['Bearer x']);
      assert.deepEqual(headers.trailers(sent), [], 'never in trailers');
    });
  }

  for (const [name, value] of [
    ['Connection', 'close'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Connection', 'keep-alive'],
    ['TE', 'trailers'],
    ['Trailer', 'x'],
    ['Transfer-Encoding', 'chunked'],
    ['Upgrade', 'h2c'],
    ['HTTP2-Settings', 'AAMAAABk'],
    ['Expect', '100-continue'],
    ['Proxy-Authorization', 'Basic eA=='],
    ['Set-Cookie', '__Host-flytegate=x'],
    ['X-Auth-Request-User', 'root'],
    ['x_auth_request_user', 'root'],
    ['X-Forwarded-For', '10.0.0.1'],
    ['X_Forwarded_For', '10.0.0.1'],
    ['X-Forwarded-Anything', 'x'],
    ['Forwarded', 'for=10.0.0.1'],
    ['X-Original-URL', '/admin'],
    ['X-Real-IP', '10.0.0.1'],
    ['X-Request-Id', 'theirs'],
    ['Authorization', 'Bearer stolen'],
    ['Flyte-Authorization', 'Bearer stolen'],
    ['flyte_authorization', 'Bearer stolen'],
    ['Transfer_Encoding', 'chunked'],
    ['Content_Length', '5'],
    ['Cookie', '__Host-flytegate=x'],
  ] as const) {
    it(`do not include the caller's ${name}: ${value}`, () => {
      assert.deepEqual(forwarded(['A', '1', name, value, 'B', '2']).fields, [
        'Host',
        'As.Sent:8443',
        'A',
        '1',
        'B',
        '2',
        ...ours,
      ]);
    });
  }

  it('lose what Connection names, in any case and in several fields', () => {
    const raw = [
      'Connection',
      'X-One,\tx-two',
      'X-ONE',
      '1',
      'X-Two',
      '2',
      'X-Three',
      '3',
      'connection',
      'keep-alive, x-three',
    ];
    assert.deepEqual(forwarded(raw).fields, ['Host', 'As.Sent:8443', ...ours]);
  });

  it('keep framing, credentials and our own when Connection names them', () => {
    const names =
      'host, content-length, content-type, authorization, x-request-id, x-forwarded-for, x-auth-request-user';
    const raw = ['Connection', names, 'Content-Length', '3', 'Content-Type', 'a/b', 'Authorization', 'Bearer t'];
    const { fields } = forwarded(raw, 'http1', { bearer: 't', identity: ['X-Auth-Request-User', 'alice'] });
    assert.deepEqual(fields, ['Host', 'As.Sent:8443', ...raw.slice(2), 'X-Auth-Request-User', 'alice', ...ours]);
  });

  it('keep a verified bearer in either header, and no other scheme beside it', () => {
    const raw = ['authorization', 'Basic eA==', 'Flyte-Authorization', 'bearer t', 'Authorization', 'Bearer t'];
    const { fields } = forwarded(raw, 'http1', { bearer: 't' });
    assert.deepEqual(fields.slice(2, 6), ['Flyte-Authorization', 'bearer t', 'Authorization', 'Bearer t']);
    assert.equal(fields.length, 2 + 4 + ours.length);
  });

  it("keep everyone else's cookies byte for byte", () => {
    const { fields } = forwarded(['Cookie', 'a=1; __Host-flytegate=x; b="2 ";c=%00']);
    assert.deepEqual(fields.slice(2, 4), ['Cookie', 'a=1; b="2 ";c=%00']);
  });

  it('become one Cookie field where HTTP/2 sent several and HTTP/1.1 goes on', () => {
    const raw = ['cookie', 'a=1', 'x', '1', 'cookie', '__Host-flytegate=x', 'cookie', 'b=2'];
    assert.deepEqual(forwarded(raw, 'http1', {}, '2').fields.slice(2, 6), ['cookie', 'a=1; b=2', 'x', '1']);
    assert.deepEqual(forwarded(raw, 'http2', {}, '2').fields.slice(0, 6), ['cookie', 'a=1', 'x', '1', 'cookie', 'b=2']);
  });

  it('are in lower case without Host for HTTP/2, and say te: trailers only where the caller did', () => {
    const { fields } = forwarded(
      ['Accept', '*/*', 'TE', 'gzip, trailers', 'Connection', 'TE', 'Upgrade', 'x'],
      'http2',
    );
    assert.deepEqual(fields.slice(0, 4), ['accept', '*/*', 'te', 'trailers']);
    assert.deepEqual(
      fields.slice(4),
      ours.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part)),
    );
    assert.ok(!forwarded(['TE', 'gzip'], 'http2').fields.includes('te'));
  });

  it('ask for the upgrade again, and announce no body that the tunnel could be taken for', () => {
    const raw = [
      'Connection',
      'keep-alive, Upgrade',
      'Upgrade',
      'WebSocket',
      'Content-Length',
      '9',
      'Sec-WebSocket-Key',
      'k',
    ];
    const { fields } = forwarded(raw, 'upgrade');
    const sent = [
      'Host',
      'As.Sent:8443',
      'Sec-WebSocket-Key',
      'k',
      'Connection',
      'Upgrade',
      'Upgrade',
      'WebSocket',
      ...ours,
    ];
    assert.deepEqual(fields, sent);
  });

  it('announce a body by length or chunks', () => {
    assert.equal(forwarded(['Content-Length', '0']).announcesBody, false);
    assert.equal(forwarded(['Content-Length', '1']).announcesBody, true);
    assert.equal(forwarded(['Transfer-Encoding', 'chunked']).announcesBody, true);
    assert.equal(forwarded([]).announcesBody, false);
  });

  it('of ours that HTTP/2 could take for two fields are a mistake of ours', () => {
    assert.throws(() => forwarded([], 'http2', { identity: ['x-user-name', 'a\0x-user-name\0root'] }), TypeError);
  });
});

describe('answer fields', () => {
  it('go on byte for byte without those of the hop, our cookie last', () => {
    const raw = [
      'Set-Cookie',
      'a=1',
      'X-Accel-Expires',
      '5',
      'set-cookie',
      'b=2',
      'Connection',
      'X-Hop',
      'X-Hop',
      '1',
      'Keep-Alive',
      't',
    ];
    const { fields, hasLength } = headers.answer(raw, 'http1', 's=1; HttpOnly');
    assert.deepEqual(fields.slice(0, 6), ['Set-Cookie', 'a=1', 'X-Accel-Expires', '5', 'set-cookie', 'b=2']);
    assert.deepEqual(fields.slice(-2), ['Set-Cookie', 's=1; HttpOnly']);
    assert.equal(hasLength, false);
  });

  it('tell shared caches not to keep our cookie', () => {
    assert.deepEqual(headers.answer([], 'http2', 's=1').fields, [
      'cache-control',
      'no-cache="Set-Cookie"',
      'set-cookie',
      's=1',
    ]);
  });

  it('are read from bytes as well', () => {
    const raw = [Buffer.from('X-Name'), Buffer.from([0xe7, 0x8e, 0x8b])];
    assert.deepEqual(headers.answer(raw, 'http1').fields, ['X-Name', '\u00e7\u008e\u008b']);
  });

  it('of a 101 keep Upgrade and Connection where they stood', () => {
    const raw = ['upgrade', 'websocket', 'X', '1', 'Connection', 'Upgrade, X', 'Content-Length', '3'];
    assert.deepEqual(headers.answer(raw, 'upgrade').fields, ['upgrade', 'websocket', 'Connection', 'Upgrade']);
  });
});

describe('trailers', () => {
  it('keep what only they can say, and nothing that frames, routes, authenticates or identifies', () => {
    const hostile = [
      'Content-Length',
      '5',
      'Host',
      'x',
      'Authorization',
      'Bearer x',
      'Cookie',
      'a=1',
      'Set-Cookie',
      'a=1',
    ];
    const identity = ['X-Auth-Request-User', 'root', 'x_auth_request_email', 'a@b', 'X-Forwarded-For', '1'];
    const kept = ['Grpc-Status', '0', 'x-data-bin', 'AAE=', 'x-data-bin', 'AAI='];
    const wanted = ['grpc-status', '0', 'x-data-bin', 'AAE=', 'x-data-bin', 'AAI='];
    assert.deepEqual(headers.trailers([...hostile, ...kept, ...identity]), wanted);
  });
});
