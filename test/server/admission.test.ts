import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { faultOf } from '../../src/server/admission.ts';
import { readFraming } from '../../src/server/framing.ts';
import { Fields, type RequestHead } from '../../src/server/request-head.ts';

function faultFor(fields: readonly string[], more: Partial<RequestHead> = {}): string | undefined {
  const framing = readFraming(fields);
  const head: RequestHead = {
    method: 'POST',
    target: '/',
    authority: framing.host,
    version: '1.1',
    encrypted: false,
    peer: '127.0.0.1',
    fields: new Fields(fields),
    ...more,
  };
  const fault = faultOf(head, framing, 5);
  return fault && `${fault.status} ${fault.code}`;
}

describe('a request, whatever let it through to here,', () => {
  const host = ['Host', 'a.test'];
  for (const [name, fault, expected] of [
    ['one Host and a length', faultFor([...host, 'Content-Length', '3']), undefined],
    ['one Host and chunks', faultFor([...host, 'transfer-encoding', 'Chunked']), undefined],
    ['as many fields as are allowed', faultFor([...host, ...Array(8).fill('x')]), undefined],
    ['one field more', faultFor([...host, ...Array(10).fill('x')]), '431 headers_too_many'],
    ['Host twice', faultFor([...host, 'hOST', 'a.test']), '400 header_repeated'],
    ['no Host', faultFor([]), '400 request_malformed'],
    ['no Host in HTTP/1.0', faultFor([], { version: '1.0' }), undefined],
    ['no host in HTTP/2', faultFor([], { version: '2' }), '400 request_malformed'],
    ['a Host that is none', faultFor(['Host', 'a b']), '400 request_malformed'],
    ['another Host than :authority', faultFor(host, { version: '2', authority: 'b.test' }), '400 host_mismatch'],
    [
      'chunks twice',
      faultFor([...host, 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']),
      '400 request_malformed',
    ],
    [
      'chunks and a length',
      faultFor([...host, 'Transfer-Encoding', 'chunked', 'Content-Length', '3']),
      '400 request_malformed',
    ],
    [
      'chunks in HTTP/1.0',
      faultFor([...host, 'Transfer-Encoding', 'chunked'], { version: '1.0' }),
      '400 request_malformed',
    ],
    ['another coding', faultFor([...host, 'Transfer-Encoding', 'gzip, chunked']), '400 request_malformed'],
    ['CONNECT', faultFor(host, { method: 'CONNECT' }), '405 method_refused'],
    ['TRACE', faultFor(host, { method: 'TRACE' }), '405 method_refused'],
    ['get', faultFor(host, { method: 'get' }), '501 method_refused'],
  ] as const) {
    it(`with ${name} is ${expected ?? 'let in'}`, () => assert.equal(fault, expected));
  }
});
