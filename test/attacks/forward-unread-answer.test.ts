import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import { createHttp2Stage } from '../forward/http2-stage.ts';
import { until } from '../forward/stage.ts';

const http2 = createHttp2Stage();
after(http2.close);

/** More than a caller takes, and no more than waits here: the upstream gets rid of all of it. */
const ANSWER = Buffer.alloc(200_000);

/** What is asked, and how the caller leaves then. */
const leaves: Readonly<Record<string, (session: ClientHttp2Session) => () => void>> = {
  'by closing its connection': (session) => {
    session.request({ ':path': '/' }).on('error', () => undefined);
    return () => session.destroy();
  },
  'by a reset, saying CANCEL': (session) => {
    const stream = session.request({ ':path': '/' });
    return () => stream.close(8);
  },
  'by a reset, saying that nothing is wrong': (session) => {
    const stream = session.request({ ':path': '/' });
    return () => stream.close(0);
  },
};

describe('a caller who leaves an answer that is complete here, and unread', { timeout: 20_000 }, () => {
  for (const [how, ask] of Object.entries(leaves)) {
    it(`${how}, holds no stream to the upstream`, async () => {
      let isGiven = false;
      const upstream = await http2.startUpstream((stream) => {
        stream.respond({ ':status': 200 });
        stream.end(ANSWER);
        stream.once('close', () => {
          isGiven = true;
        });
      });
      const door = await http2.front({ upstream: { port: upstream.port } });
      const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`, { settings: { initialWindowSize: 0 } });
      session.on('error', () => undefined);
      after(() => session.destroy());
      const lifeline = { destroyed: false };
      const outcome = door.nextOutcome();
      const leave = ask(session);
      await until(() => isGiven, lifeline);
      leave();
      assert.equal((await outcome).kind, 'answered');
      await until(() => door.state().inFlight === 0, lifeline);
    });
  }
});
