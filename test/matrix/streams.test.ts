import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { before, describe, it } from 'node:test';
import { type ByHand, startByHand } from './by-hand.ts';
import { nameOf, pairs, speaksHttp2 } from './pairs.ts';
import type { Arrival } from './upstream.ts';

const eventStream = ['Content-Type', 'text/event-stream'];

for (const pair of pairs) {
  describe(`Streams, ${nameOf(pair)}`, { concurrency: true, timeout: 30_000 }, () => {
    let stage: ByHand;
    before(async () => {
      stage = await startByHand(pair);
    });

    it('server-sent events arrive one by one, each before the next is sent', async () => {
      const { call, arrival } = await stage.meet('/events', { fields: ['Accept', 'text/event-stream'] });
      const out = arrival.start(200, eventStream);
      for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
        out.write(event);
        const { body } = await call.head;
        assert.equal(String((await once(body, 'data'))[0]), event);
      }
      out.end();
      assert.equal(await call.ended, true);
    });

    it('the head of an answer arrives before its first byte', async () => {
      const { call, arrival } = await stage.meet('/head');
      const out = arrival.start(200, ['X-Head', '1']);
      if ('flushHeaders' in out && typeof out.flushHeaders === 'function') out.flushHeaders();
      const { body } = await call.head;
      out.end('late');
      assert.equal(await text(body), 'late');
    });

    it('an upload arrives piece by piece, each before the next is sent', async () => {
      const call = stage.open('/pieces', { method: 'POST', hasBody: true });
      call.body.write('1');
      const arrival = await stage.arrival('/pieces');
      assert.equal(String((await once(arrival.body, 'data'))[0]), '1');
      for (const piece of ['2', '3']) {
        call.body.write(piece);
        assert.equal(String((await once(arrival.body, 'data'))[0]), piece);
      }
      call.body.end();
      await once(arrival.body, 'end');
      arrival.start(200, []).end();
      assert.equal((await call.head).status, 200);
      (await call.head).body.resume();
    });

    it('an answer that ends while the request still goes on is whole', async () => {
      const call = stage.open('/early', { method: 'POST', hasBody: true });
      call.body.write('1');
      const arrival = await stage.arrival('/early');
      arrival.body.resume();
      arrival.start(413, ['Content-Length', '8']).end('too much');
      const head = await call.head;
      assert.equal(head.status, 413);
      assert.equal(await text(head.body), 'too much');
      call.cancel();
    });

    it('100 Continue is said by the gateway, and Expect goes no further', async () => {
      const call = stage.open('/expects', {
        method: 'POST',
        hasBody: true,
        fields: ['Expect', '100-continue', 'Content-Length', '4'],
      });
      // Nothing is sent before it is asked for.
      await call.continued;
      call.body.end('body');
      const arrival = await stage.arrival('/expects');
      assert.deepEqual(valuesOf(arrival, 'expect'), []);
      assert.equal(await text(arrival.body), 'body');
      arrival.start(204, []).end();
      assert.equal((await call.head).status, 204);
    });

    it('who is asking is said by the gateway alone, in fields and in trailers', async () => {
      const claimed = ['X-Auth-Request-User', 'root', 'X_User_Subject', 'root', 'x-amzn-oidc-data', 'root'];
      const call = stage.open('/who', {
        method: 'POST',
        hasBody: true,
        fields: [...claimed, 'X-Kept', '1'],
        trailers: [...claimed, 'x-forwarded-email', 'root', 'authorization', 'Bearer root', 'x-kept-bin', 'AAE'],
      });
      call.body.end('body');
      const arrival = await stage.arrival('/who');
      await buffer(arrival.body);
      arrival.start(204, []).end();
      await call.head;
      const kept = speaksHttp2(pair.upstream) ? ['x-kept-bin', 'AAE'] : [];
      assert.deepEqual(arrival.trailers(), kept);
      assert.ok(!arrival.fields.includes('root'), 'nothing of what the caller claimed');
      assert.deepEqual(valuesOf(arrival, 'x-auth-request-user'), ['ada']);
      assert.deepEqual(valuesOf(arrival, 'x-kept'), ['1']);
    });

    it('a push is refused', { skip: !speaksHttp2(pair.upstream) }, async () => {
      const { call, arrival } = await stage.meet('/push');
      assert.equal(arrival.mayPush, false);
      arrival.start(204, []).end();
      assert.equal((await call.head).status, 204);
    });
  });
}

function valuesOf({ fields }: Arrival, name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}
