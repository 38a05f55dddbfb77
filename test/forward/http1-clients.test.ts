import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { talk } from './front.ts';
import { createStage } from './stage.ts';

const stage = createStage();
after(stage.close);

const ask = (target: string) => `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('connections to an HTTP/1.1 upstream', () => {
  it('are as many as were in use at once, and the one used last is used first', async () => {
    const held: Socket[] = [];
    const upstream = await stage.raw((socket, head) => {
      if (head.startsWith('GET /held')) held.push(socket);
      else socket.write(OK);
    });
    const door = await stage.front({ upstream: { port: upstream.port } });
    const both = [talk(door.http1Port, ask('/held')), talk(door.http1Port, ask('/held'))];
    while (held.length < 2) await new Promise(setImmediate);
    const [first, second] = held;
    assert.ok(first && second);
    first.write(OK);
    await Promise.race(both);
    second.write(OK);
    await Promise.all(both);
    for (let i = 0; i < 3; i += 1) await talk(door.http1Port, ask('/'));
    assert.equal(upstream.sockets.length, 2);
    const requests = upstream.received[upstream.sockets.indexOf(second)]?.match(/GET \//g);
    assert.equal(requests?.length, 4, 'all that came later went there');
  });

  it('are not used again where an answer did not come whole', async () => {
    const upstream = await stage.raw((socket, head) => {
      socket.write(head.startsWith('GET /half') ? 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf' : OK);
    });
    const door = await stage.front({ upstream: { port: upstream.port } });
    const caller = connect(door.http1Port, '127.0.0.1');
    caller.on('error', () => undefined);
    caller.write(ask('/half'));
    await once(caller, 'data');
    const [socket] = upstream.sockets;
    assert.ok(socket);
    const closed = once(socket, 'close');
    caller.resetAndDestroy();
    await closed;
    assert.match(await talk(door.http1Port, ask('/')), /ok$/);
    assert.equal(upstream.sockets.length, 2);
  });
});
