import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openPort } from '../server/port.ts';
import { exchangeRaw, statusesIn } from '../server/raw-connection.ts';

describe('a request that does not name exactly one host', () => {
  for (const [name, fields] of Object.entries({
    'no Host': '',
    'two Hosts': 'Host: a.test\r\nHost: b.test\r\n',
    'the same Host twice': 'Host: a.test\r\nHost: a.test\r\n',
    'two Hosts in different spelling': 'Host: a.test\r\nhOST: b.test\r\n',
    'an empty Host': 'Host: \r\n',
    'a list of Hosts': 'Host: a.test, b.test\r\n',
    'two Hosts in one': 'Host: a.test b.test\r\n',
    'a Host with userinfo': 'Host: a.test@b.test\r\n',
    'a Host with a path': 'Host: a.test/b\r\n',
    'a Host with a query': 'Host: a.test?b\r\n',
    'a Host with a fragment': 'Host: a.test#b\r\n',
    'a Host with a backslash': 'Host: a.test\\b\r\n',
    'a Host with an escape': 'Host: a%2etest\r\n',
    'a Host with two ports': 'Host: a.test:1:2\r\n',
    'a Host with a port that is no number': 'Host: a.test:x\r\n',
    'a Host with an empty port': 'Host: a.test:\r\n',
    'a Host outside ASCII': 'Host: \xe4.test\r\n',
    'a Host of 300 characters': `Host: ${'a'.repeat(300)}\r\n`,
    'an open bracket': 'Host: [::1\r\n',
  })) {
    it(`is answered 400 and the connection closed: ${name}`, async () => {
      const port = await openPort();
      const answer = await exchangeRaw(
        port,
        `GET / HTTP/1.1\r\n${fields}\r\nGET /next HTTP/1.1\r\nHost: a.test\r\n\r\n`,
      );
      assert.deepEqual(statusesIn(answer), [400]);
      assert.match(answer, /connection: close/i);
      assert.equal(port.seen.length, 0);
    });
  }

  for (const host of [
    'a.test',
    'A.Test:8080',
    '127.0.0.1:1',
    '[::1]:443',
    '[::ffff:1.2.3.4]',
    'my_service',
    'a.test.',
  ]) {
    it(`is not this one: ${host}`, async () => {
      const port = await openPort();
      const answer = await exchangeRaw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(statusesIn(answer), [200]);
      assert.equal(port.seen[0]?.head.authority, host);
    });
  }

  it('may leave it out in HTTP/1.0', async () => {
    const port = await openPort();
    assert.deepEqual(statusesIn(await exchangeRaw(port, 'GET / HTTP/1.0\r\n\r\n')), [200]);
    assert.equal(port.seen[0]?.head.authority, undefined);
  });
});
