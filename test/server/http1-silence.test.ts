import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { answerTarget, openPort } from './port.ts';
import { testCertificate } from './test-certificate.ts';

const request = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function open(port: number, isTls: boolean): Socket {
  const where = { host: '127.0.0.1', port };
  return isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
}

describe('an HTTP/1.1 connection on which nothing moves', { timeout: 10_000 }, () => {
  for (const tls of [undefined, testCertificate])
    it(`is closed after its idle time and not before ${tls ? 'with' : 'without'} TLS`, async () => {
      const port = await openPort({ limits: { idleMs: 80 }, ...(tls && { tls }) });
      const caller = open(port.port, tls !== undefined);
      caller.write(request);
      await once(caller, 'data');
      const answeredAt = performance.now();
      await once(caller, 'end');
      assert.ok(performance.now() - answeredAt >= 79, `after ${performance.now() - answeredAt} ms`);
      caller.destroy();
    });

  it('stays while its request waits for us, however short the idle time', async () => {
    const port = await openPort({
      limits: { idleMs: 40, bodyIdleMs: 60 },
      handler: async (exchange) => {
        await pass(300);
        return answerTarget(exchange);
      },
    });
    const caller = open(port.port, false);
    caller.write(request);
    assert.match(String((await once(caller, 'data'))[0]), /^HTTP\/1\.1 200 /);
    await once(caller, 'end');
    caller.destroy();
  });
});
