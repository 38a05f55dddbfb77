import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, it } from 'node:test';
import { Http1Downstream } from '../../src/forward/downstream-http1.ts';

/** What a caller gets of an answer that is made by `act`, and how its connection ends. */
async function answered(act: (downstream: Http1Downstream) => void): Promise<{ words: string; isReset: boolean }> {
  const server = createServer((request, response) => act(new Http1Downstream(request, response)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const caller = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let words = '';
  let isReset = false;
  caller.on('data', (chunk: Buffer) => {
    words += chunk.toString('latin1');
  });
  caller.on('error', () => {
    isReset = true;
  });
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  await new Promise((resolve) => caller.once('close', resolve));
  server.close();
  return { words, isReset };
}

const head = {
  ...{ status: 200, hasLength: false, endStream: false },
  fields: ['Content-Type', 'application/connect+proto'],
};
/** A Connect envelope with one byte. */
const envelope = Buffer.from([0, 0, 0, 0, 1, 0x41]);

describe('an answer by HTTP/1.1 that waits for the end of the turn', () => {
  it('goes out whole', async () => {
    const { words, isReset } = await answered((downstream) => {
      downstream.start(head);
      downstream.write(envelope);
      downstream.end([]);
    });
    assert.match(words, /^HTTP\/1\.1 200 OK\r\n/);
    assert.ok(words.endsWith('6\r\n\0\0\0\0\x01A\r\n0\r\n\r\n'), JSON.stringify(words));
    assert.equal(isReset, false);
  });

  it('is reset when it is broken off, and gets no last words after its end', async () => {
    const { words, isReset } = await answered((downstream) => {
      downstream.start(head);
      downstream.write(envelope);
      downstream.end([]);
      downstream.breakOff('session_revoked', 'reference');
    });
    assert.deepEqual({ words, isReset }, { words: '', isReset: true });
  });

  it('gets last words when it is broken off before its end', async () => {
    const { words, isReset } = await answered((downstream) => {
      downstream.start(head);
      downstream.write(envelope);
      downstream.breakOff('session_revoked', 'reference');
    });
    assert.match(words, /"code":/);
    assert.ok(words.endsWith('0\r\n\r\n'));
    assert.equal(isReset, false);
  });
});
