import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it } from 'node:test';
import { type Caller, callerOf } from '../../src/server/caller.ts';
import { openPort } from './port.ts';

const html = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

const cases: ReadonlyArray<
  readonly [caller: Caller, method: string, target: string, fields: Readonly<Record<string, string>>]
> = [
  ['navigation', 'GET', '/', { 'sec-fetch-mode': 'navigate' }],
  ['navigation', 'HEAD', '/', { 'sec-fetch-mode': 'navigate', accept: '*/*' }],
  ['api', 'POST', '/', { 'sec-fetch-mode': 'navigate', accept: html }],
  ['api', 'GET', '/', { 'sec-fetch-mode': 'cors', accept: html }],
  ['api', 'GET', '/', { 'sec-fetch-mode': 'no-cors', accept: html }],
  ['navigation', 'GET', '/', { accept: html }],
  ['navigation', 'GET', '/', { accept: 'text/html' }],
  ['navigation', 'GET', '/', { accept: 'TEXT/HTML; q=0.5' }],
  ['navigation', 'GET', '/', { accept: 'application/json;q=0.5, application/xhtml+xml' }],
  ['api', 'GET', '/', { accept: html, 'x-requested-with': 'XMLHttpRequest' }],
  ['api', 'GET', '/', {}],
  ['api', 'GET', '/', { accept: '*/*' }],
  ['api', 'GET', '/', { accept: '' }],
  ['api', 'GET', '/', { accept: 'text/*' }],
  ['api', 'GET', '/', { accept: 'application/json, text/plain, */*' }],
  ['api', 'GET', '/', { accept: 'application/json, text/html' }],
  ['api', 'GET', '/', { accept: 'text/html;q=0.1, application/json' }],
  ['api', 'GET', '/', { accept: 'text/html;q=0' }],
  ['api', 'GET', '/', { accept: 'text/event-stream' }],
  ['api', 'PUT', '/', { accept: html }],
  ['grpc', 'POST', '/a.B/C', { 'content-type': 'application/grpc' }],
  ['grpc', 'POST', '/a.B/C', { 'content-type': 'application/grpc+proto' }],
  ['grpc', 'POST', '/a.B/C', { 'content-type': 'Application/gRPC ; charset=x' }],
  ['grpc-web', 'POST', '/a.B/C', { 'content-type': 'application/grpc-web' }],
  ['grpc-web', 'POST', '/a.B/C', { 'content-type': 'application/grpc-web+proto' }],
  ['grpc-web-text', 'POST', '/a.B/C', { 'content-type': 'application/grpc-web-text' }],
  ['grpc-web-text', 'POST', '/a.B/C', { 'content-type': 'application/grpc-web-text+proto' }],
  ['api', 'POST', '/a.B/C', { 'content-type': 'application/grpcx' }],
  ['connect-streaming', 'POST', '/a.B/C', { 'content-type': 'application/connect+proto' }],
  ['connect-streaming', 'POST', '/a.B/C', { 'content-type': 'application/connect+json' }],
  ['connect-unary', 'POST', '/a.B/C', { 'content-type': 'application/proto', 'connect-protocol-version': '1' }],
  [
    'connect-unary',
    'POST',
    '/a.B/C',
    { 'content-type': 'application/json; charset=utf-8', 'connect-protocol-version': '1' },
  ],
  ['api', 'POST', '/a.B/C', { 'content-type': 'application/json' }],
  ['api', 'POST', '/a.B/C', { 'content-type': 'application/proto' }],
  ['connect-unary', 'GET', '/a.B/C?connect=v1&encoding=json&message=', {}],
  ['connect-unary', 'GET', '/a.B/C?message=&connect=v1', { accept: html }],
  ['api', 'GET', '/a.B/C?connect=v10', {}],
  ['api', 'POST', '/a.B/C?connect=v1', {}],
  ['api', 'GET', '/connect=v1', {}],
  ['grpc', 'POST', '/a.B/C', { 'content-type': 'application/grpc', 'sec-fetch-mode': 'navigate', accept: html }],
];

describe('the tongue of a caller', () => {
  for (const [caller, method, path, headers] of cases) {
    it(`is ${caller} for ${method} ${path} ${JSON.stringify(headers)}`, async () => {
      const port = await openPort({
        handler: (exchange) => exchange.send({ status: 200, fields: ['X-Caller', callerOf(exchange)] }),
      });
      const heard = await new Promise((resolve, reject) => {
        request({ ...port, method, path, headers, agent: false }, (response) => {
          response.resume();
          resolve(response.headers['x-caller']);
        })
          .on('error', reject)
          .end();
      });
      assert.equal(heard, caller);
    });
  }

  it('is websocket for every handshake', async () => {
    const port = await openPort({
      handler: (exchange) => exchange.send({ status: 401, fields: ['X-Caller', callerOf(exchange)] }),
    });
    const headers = { connection: 'upgrade', upgrade: 'websocket', accept: html, 'sec-fetch-mode': 'websocket' };
    const heard = await new Promise((resolve, reject) => {
      request({ ...port, headers, agent: false }, (response) => {
        response.resume();
        resolve(response.headers['x-caller']);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(heard, 'websocket');
  });
});
