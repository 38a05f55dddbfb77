import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/failure.ts';
import { createOutbound, longestAnswer, type Outbound } from '../../src/oidc/outbound.ts';
import { testCertificate } from '../server/test-certificate.ts';

describe('speaking to a provider', () => {
  let server: Server;
  let url = '';
  /** One that a busy machine does not run out of, and one that is over soon. */
  let outbound: Outbound;
  let impatient: Outbound;
  let answer: RequestListener = () => undefined;
  before(async () => {
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    outbound = createOutbound({ timeoutMs: 60_000, allowHttp: false });
    impatient = createOutbound({ timeoutMs: 300, allowHttp: false });
  });
  after(async () => {
    await Promise.all([outbound.close(), impatient.close()]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const failsWith = (words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'issuer_unreachable');
    assert.match(error.message, words);
    return true;
  };

  it('sends forms and reads the whole answer, of whatever status', async () => {
    answer = (request, response) => {
      response.writeHead(400, { 'content-type': 'application/json', 'www-authenticate': 'Basic' });
      request.on('data', (body) => response.write(JSON.stringify({ got: String(body) })));
      request.on('end', () => response.end());
    };
    const got = await outbound.fetch(url, { method: 'POST', body: new URLSearchParams({ a: 'b c' }) });
    assert.equal(got.status, 400);
    assert.deepEqual(await got.json(), { got: 'a=b+c' });
    assert.deepEqual([...got.headers.keys()], ['content-type']);
  });

  it('follows no redirect', async () => {
    let asked = 0;
    answer = (_, response) => {
      asked += 1;
      response.writeHead(302, { location: `${url}/elsewhere` }).end();
    };
    assert.equal((await outbound.fetch(url)).status, 302);
    assert.equal(asked, 1);
  });

  it('reads no answer over 1 MiB', async () => {
    answer = (_, response) => {
      response.on('error', () => undefined);
      response.end(Buffer.alloc(longestAnswer + 1));
    };
    await assert.rejects(outbound.fetch(url), failsWith(/over 1048576 bytes/));
    answer = (_, response) => response.end(Buffer.alloc(longestAnswer));
    assert.equal((await (await outbound.fetch(url)).arrayBuffer()).byteLength, longestAnswer);
  });

  it('waits no longer than it was told for the head, nor for a body that trickles', async () => {
    answer = () => undefined;
    await assert.rejects(impatient.fetch(url), failsWith(/300 ms|TIMEOUT/));
    const timers = new Set<NodeJS.Timeout>();
    answer = (_, response) => {
      const timer = setInterval(() => response.write('x'), 20);
      timers.add(timer);
      response.on('close', () => clearInterval(timer));
    };
    await assert.rejects(impatient.fetch(url), failsWith(/300 ms/));
    for (const timer of timers) clearInterval(timer);
  });

  it('names the error by its code, never what was sent or received', async () => {
    answer = (request, response) => {
      request.resume();
      response.socket?.end('NOT HTTP secret-answer\r\n\r\n');
    };
    await assert.rejects(
      outbound.fetch(`${url}/p?q=secret-query`, { method: 'POST', body: 'secret-body' }),
      (error) => {
        assert.ok(error instanceof Failure);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  });

  const addresses: readonly (readonly [string, boolean, boolean])[] = [
    ['https://id.example.com/x', true, true],
    ['http://127.0.0.1:1/x', true, true],
    ['http://127.9.9.9/', true, true],
    ['http://localhost/', true, true],
    ['http://[::1]:1/', true, true],
    ['http://id.example.com/', false, true],
    ['http://127.0.0.1.evil.test/', false, true],
    ['http://localhost.evil.test/', false, true],
    ['https://user:pass@id.example.com/', false, false],
    ['ftp://id.example.com/', false, false],
    ['javascript:alert(1)', false, false],
    ['/x', false, false],
  ];
  for (const [address, byDefault, withHttp] of addresses) {
    it(`${byDefault ? 'speaks' : 'does not speak'} to ${address}`, async () => {
      assert.equal(outbound.allows(address), byDefault);
      const careless = createOutbound({ timeoutMs: 300, allowHttp: true });
      assert.equal(careless.allows(address), withHttp);
      await careless.close();
      if (!byDefault) await assert.rejects(outbound.fetch(address), failsWith(/without TLS/));
    });
  }

  for (const [namedBy, address, isAllowed] of [
    ['https://id.example.com/metadata', 'https://id.example.com/token', true],
    ['https://id.example.com/metadata', 'http://127.0.0.1:9090/token', false],
    ['https://id.example.com/metadata', 'http://localhost/token', false],
    ['https://id.example.com/metadata', 'http://[::1]:1/token', false],
    ['http://127.0.0.1:1/metadata', 'http://127.0.0.1:1/token', true],
    ['http://127.0.0.1:1/metadata', 'https://id.example.com/token', true],
    ['http://127.0.0.1:1/metadata', 'http://id.example.com/token', false],
    ['', 'http://127.0.0.1:1/token', false],
  ] as const) {
    it(`${isAllowed ? 'speaks' : 'does not speak'} to ${address} when ${namedBy || 'nowhere'} names it`, () =>
      assert.equal(outbound.allows(address, namedBy), isAllowed));
  }

  it('speaks by http to whatever is named where the settings allow http anywhere', async () => {
    const careless = createOutbound({ timeoutMs: 300, allowHttp: true });
    assert.equal(careless.allows('http://127.0.0.1/token', 'https://id.example.com/metadata'), true);
    await careless.close();
  });

  it('waits only for what is left of the time, when some of it is used up', async () => {
    answer = () => undefined;
    await assert.rejects(impatient.fetch(url, { spentMs: 250 }), failsWith(/no answer in 50 ms/));
    await assert.rejects(impatient.fetch(url, { spentMs: 10_000 }), failsWith(/no answer in 1 ms/));
    await assert.rejects(impatient.fetch(url, { spentMs: -10_000 }), failsWith(/300 ms|TIMEOUT/));
  });

  it('goes through the proxy it was given', async () => {
    const asked: string[] = [];
    answer = (request, response) => {
      asked.push(request.url ?? '');
      response.end('{}');
    };
    const proxied = createOutbound({ timeoutMs: 60_000, allowHttp: true, httpProxyURL: url });
    await proxied.fetch('http://id.example.com/metadata');
    await proxied.close();
    assert.deepEqual(asked, ['http://id.example.com/metadata']);
  });

  it('believes the CA of the file it was given, and no stranger', async () => {
    const secure = createSecureServer(testCertificate, (_, response) => response.end('{}'));
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const address = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/`;
    const folder = await mkdtemp(join(tmpdir(), 'flytegate-'));
    const caFile = join(folder, 'ca.pem');
    await writeFile(caFile, testCertificate.cert);
    const trusting = createOutbound({ timeoutMs: 60_000, allowHttp: false, caFile });
    assert.equal((await trusting.fetch(address)).status, 200);
    await assert.rejects(outbound.fetch(address), failsWith(/SELF_SIGNED/));
    await trusting.close();
    await rm(folder, { recursive: true });
    secure.closeAllConnections();
    await new Promise((resolve) => secure.close(resolve));
  });

  it('does not start without the CA file it was told of', () => {
    assert.throws(
      () => createOutbound({ timeoutMs: 300, allowHttp: false, caFile: '/nonexistent/ca.pem' }),
      (error) => error instanceof Failure && error.code === 'config_invalid',
    );
  });
});
