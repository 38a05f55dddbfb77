import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { openPort } from '../server/port.ts';

const one = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
const FLOOD = 50_000;
/** What fits into one read, which is parsed to its end whatever happens, and some. */
const IN_ONE_READ = Math.ceil(65_536 / one.length) + 200;

/** What ends a connection with its reply, sent by a caller who takes no notice of that. */
const lasts: Readonly<Record<string, string>> = {
  'a method that is refused': 'TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'an upgrade that is ignored': 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
};

describe('Requests without end behind the last reply of a connection', { timeout: 30_000 }, () => {
  let requests = 0;
  const count = () => {
    requests += 1;
  };
  const taken: Socket[] = [];
  const take = (message: unknown) => {
    const { socket } = message as { socket: unknown };
    if (socket instanceof Socket) taken.push(socket);
  };
  subscribe('http.server.request.start', count);
  subscribe('net.server.socket', take);
  after(() => {
    unsubscribe('http.server.request.start', count);
    unsubscribe('net.server.socket', take);
  });

  for (const [what, last] of Object.entries(lasts)) {
    it(`after ${what} end it, before they are remembered`, async () => {
      requests = 0;
      taken.length = 0;
      const port = await openPort();
      const socket = connect({ host: port.host, port: port.port, allowHalfOpen: true });
      socket.on('error', () => undefined); // that it was reset
      after(() => socket.destroy());
      socket.write(last);
      await once(socket, 'data');
      socket.resume().write(one.repeat(FLOOD));
      const [accepted] = taken;
      assert.ok(accepted);
      if (!accepted.closed) await once(accepted, 'close');
      assert.ok(requests <= IN_ONE_READ, `${requests} requests were taken in`);
    });
  }

  it('are passed by while they are few, and the reply arrives', async () => {
    const port = await openPort();
    const socket = connect({ host: port.host, port: port.port });
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    const closed = once(socket, 'close');
    socket.write(lasts['a method that is refused'] + one.repeat(90));
    await closed;
    assert.match(heard, /^HTTP\/1\.1 405 /);
    assert.deepEqual(port.seen, []);
  });
});
