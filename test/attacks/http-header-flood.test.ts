import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openPort } from '../server/port.ts';
import { exchangeRaw, statusesIn } from '../server/raw-connection.ts';

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
const fields = (count: number) => Array.from({ length: count }, (_, i) => `x${i}: y\r\n`).join('');

describe('a flood of header fields', () => {
  for (const count of [200, 999, 1000, 1999, 2000, 3000]) {
    for (const [name, hidden] of Object.entries({
      'Content-Length': `Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      'Transfer-Encoding': `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      'second Host': `Host: b.test\r\n\r\n${smuggled}`,
    })) {
      it(`is answered 431 and the connection closed: ${count} fields before a hidden ${name}`, async () => {
        const port = await openPort({ limits: { headerBytes: 65_536 } });
        const answer = await exchangeRaw(port, `POST / HTTP/1.1\r\nHost: a.test\r\n${fields(count)}${hidden}`);
        assert.deepEqual(statusesIn(answer), [431]);
        assert.match(answer, /connection: close/i);
        assert.equal(port.seen.length, 0);
      });
    }
  }

  it('is counted with repeated fields one by one', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(port, `GET / HTTP/1.1\r\nHost: a.test\r\n${'Cookie: a=b\r\n'.repeat(200)}\r\n`);
    assert.deepEqual(statusesIn(answer), [431]);
    assert.equal(port.seen.length, 0);
  });

  it('begins one field above the limit', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(port, `GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n${fields(198)}\r\n`);
    assert.deepEqual(statusesIn(answer), [200]);
    assert.equal(port.seen[0]?.head.fields.count, 200);
  });

  it('names the reason and a reference that is in the log, but nothing of the request', async () => {
    const refused: string[] = [];
    const port = await openPort({ onRefused: (code) => refused.push(code) });
    const answer = await exchangeRaw(port, `GET /?secret HTTP/1.1\r\nHost: a.test\r\n${fields(200)}\r\n`);
    const body = JSON.parse(answer.slice(answer.indexOf('{')));
    assert.equal(body.code, 'invalid_argument');
    assert.deepEqual(refused, ['headers_too_many']);
    const { id, code } = port.events.find(({ event }) => event === 'request.refused')?.facts ?? {};
    assert.equal(id, body.reference);
    assert.equal(code, 'headers_too_many');
    assert.ok(!JSON.stringify(port.events).includes('secret'));
  });
});

describe('a flood of header bytes', () => {
  for (const [name, bytes] of Object.entries({
    'one long value': `GET / HTTP/1.1\r\nHost: a.test\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    'one long name': `GET / HTTP/1.1\r\nHost: a.test\r\n${'y'.repeat(20_000)}: x\r\n\r\n`,
    'a long target': `GET /${'y'.repeat(20_000)} HTTP/1.1\r\nHost: a.test\r\n\r\n`,
    'a value that never ends': `GET / HTTP/1.1\r\nHost: a.test\r\nx: ${'y'.repeat(20_000)}`,
    'trailers that never end': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: ${'y'.repeat(20_000)}`,
  })) {
    it(`ends the connection before it is read to the end: ${name}`, async () => {
      const port = await openPort({ limits: { headerBytes: 16_384 }, handler: () => undefined });
      const answer = await exchangeRaw(port, bytes);
      assert.ok(answer === '' || statusesIn(answer)[0] === 431, answer);
      assert.ok(port.seen.every(({ head }) => head.target === '/' && head.method === 'POST'));
    });
  }

  it('is answered 431, which arrives although the caller is still sending', async () => {
    const port = await openPort({ limits: { headerBytes: 16_384 } });
    const answer = await exchangeRaw(port, `GET / HTTP/1.1\r\nHost: a.test\r\nx: ${'y'.repeat(400_000)}`);
    assert.deepEqual(statusesIn(answer), [431]);
  });
});
