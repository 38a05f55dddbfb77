import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { type Front, type FrontNeeds, portOf, talk } from './front.ts';
import { createNamed, createRaw, createWatchedLog, listenOn } from './places.ts';
import { createStage, until } from './stage.ts';

const stage = createStage();
after(stage.close);

const get = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

/** A DNS that says what the test says, and pods on one port that say their own address. */
async function startPods(create: (host: string) => ReturnType<typeof createRaw> = createNamed) {
  const pods = await listenOn(HOSTS, create);
  const [first] = pods;
  assert.ok(first);
  const port = portOf(first);
  stage.onClose(() => {
    for (const pod of pods) {
      pod.close();
      for (const socket of pod.sockets) socket.destroy();
    }
  });
  const watched = createWatchedLog();
  const dns: { answer: readonly string[] | Error } = { answer: [] };
  const front = (upstream: Partial<FrontNeeds['upstream']> = {}): Promise<Front> =>
    stage.front({
      upstream: { targets: [{ host: 'svc.test', port }], resolveIntervalMs: 5, ...upstream },
      log: watched.log,
      lookup: async (name) => {
        assert.equal(name, 'svc.test');
        if (dns.answer instanceof Error) throw dns.answer;
        return dns.answer;
      },
    });
  return { pods, watched, dns, front };
}

const asked = async (door: Front) => (await talk(door.http1Port, get)).split('\r\n\r\n')[1];

describe('an upstream named by DNS', () => {
  it('has all addresses of its name, and follows it to others', async () => {
    const { watched, dns, front } = await startPods();
    dns.answer = ['127.0.0.1', '127.0.0.2'];
    const door = await front();
    await watched.written('upstream.resolved');
    assert.deepEqual([await asked(door), await asked(door)].toSorted(), ['127.0.0.1', '127.0.0.2']);
    dns.answer = ['127.0.0.3'];
    await watched.written('upstream.resolved', 2);
    assert.deepEqual([await asked(door), await asked(door)], ['127.0.0.3', '127.0.0.3']);
    assert.deepEqual(watched.facts.at(-1), {
      upstream: 'up',
      host: 'svc.test',
      addresses: ['127.0.0.3'],
      answered: 1,
    });
  });

  it('finishes what is under way at an address that left, and closes the idle connections to it', async () => {
    const held: Socket[] = [];
    const { pods, watched, dns, front } = await startPods(() =>
      createRaw((socket) => {
        socket.on('data', (chunk) => {
          if (chunk.includes('/held')) held.push(socket);
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
        });
      }),
    );
    dns.answer = ['127.0.0.1'];
    const door = await front();
    await watched.written('upstream.resolved');
    const second = connect(door.http1Port, '127.0.0.1');
    second.write(get.replace('/', '/held'));
    await until(() => held.length === 1, second);
    // Beside it, one that is idle from now on.
    assert.match(await talk(door.http1Port, get), /x$/);
    assert.equal(pods[0]?.sockets.size, 2);
    dns.answer = ['127.0.0.2'];
    await watched.written('upstream.resolved', 2);
    assert.match(await talk(door.http1Port, get), /x$/);
    assert.equal(pods[1]?.sockets.size, 1);
    await until(() => pods[0]?.sockets.size === 1, second);
    let answer = '';
    second.on('data', (chunk) => {
      answer += chunk;
    });
    held[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate');
    await once(second, 'close');
    assert.match(answer, /late$/);
    while ((pods[0]?.sockets.size ?? 0) > 0) await new Promise(setImmediate);
  });

  it('keeps its last good addresses while look-ups fail, and says so once', async () => {
    const { watched, dns, front } = await startPods();
    dns.answer = ['127.0.0.2'];
    const door = await front();
    await watched.written('upstream.resolved');
    dns.answer = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    await watched.written('upstream.resolve_failed');
    for (let i = 0; i < 3; i += 1) assert.equal(await asked(door), '127.0.0.2');
    dns.answer = ['127.0.0.2'];
    await watched.written('upstream.resolve_recovered');
    assert.deepEqual(watched.events, ['upstream.resolved', 'upstream.resolve_failed', 'upstream.resolve_recovered']);
  });

  it('that was never found is unreachable, and served as soon as it is', async () => {
    const { watched, dns, front } = await startPods();
    dns.answer = [];
    const door = await front({ connectTimeoutMs: 2000 });
    await watched.written('upstream.resolve_failed');
    assert.equal(await asked(door), 'upstream_unreachable');
    dns.answer = ['127.0.0.1'];
    await watched.written('upstream.resolved');
    assert.equal(await asked(door), '127.0.0.1');
  });
});
