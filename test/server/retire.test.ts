import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Exchange, Handler } from '../../src/server/exchange.ts';
import { ask, openSession } from './http2-client.ts';
import { answerTarget, openPort } from './port.ts';
import { connectRaw, exchangeRaw } from './raw-connection.ts';

const get = 'GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n';

describe('a port that retires', () => {
  it('still takes HTTP/1.1 connections, and closes each after one answer that says so', async () => {
    const port = await openPort();
    port.listener.retire();
    const answer = await exchangeRaw(port, get);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\nConnection: close\r\n/i);
  });

  it('leaves idle connections open until they were used once more', async () => {
    const port = await openPort();
    const idle = await connectRaw(port);
    idle.send(get);
    assert.doesNotMatch(await idle.until('GET /x'), /Connection: close/i);
    port.listener.retire();
    // An answer to somebody else shows that there was time to close it.
    await exchangeRaw(port, get);
    idle.send(get);
    assert.match(await idle.ended(), /GET \/x[\s\S]*Connection: close[\s\S]*GET \/x$/i);
  });

  const request = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;

  it('looks at nothing that came behind a request whose answer says so', async () => {
    const port = await openPort();
    port.listener.retire();
    assert.match(await exchangeRaw(port, request('/first') + request('/behind')), /GET \/first$/);
    assert.deepEqual(
      port.seen.map(({ head }) => head.target),
      ['/first'],
    );
  });

  it('nor at what comes behind one that was under way before', async () => {
    const held = Promise.withResolvers<Exchange>();
    const handler: Handler = (exchange) =>
      exchange.head.target === '/held' ? held.resolve(exchange) : answerTarget(exchange);
    const port = await openPort({ handler });
    const busy = await connectRaw(port);
    busy.send(request('/held'));
    const exchange = await held.promise;
    port.listener.retire();
    busy.send(request('/behind'));
    // An answer to somebody else shows that there was time to read it.
    await exchangeRaw(port, get);
    answerTarget(exchange);
    assert.match(await busy.ended(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*GET \/held$/);
    assert.equal(
      port.seen.some(({ head }) => head.target === '/behind'),
      false,
    );
  });

  it('serves HTTP/2 callers, on connections old and new, as if nothing were', async () => {
    const port = await openPort();
    const before = openSession(port.port);
    assert.equal((await ask(before)).status, 200);
    port.listener.retire();
    for (const session of [before, openSession(port.port)]) assert.equal((await ask(session)).status, 200);
  });
});
