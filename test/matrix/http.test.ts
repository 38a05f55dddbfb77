import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { before, describe, it } from 'node:test';
import type { Caller } from './caller.ts';
import { digestOf, type Exchange, exchanges } from './calls.ts';
import { comparableAnswer, comparableRequest } from './must-change.ts';
import { nameOf, type Pair, pairs, type Stage, speaksHttp2, startStage } from './pairs.ts';
import { pump } from './pump.ts';
import type { Arrival } from './upstream.ts';

/** Names the exchange that a request belongs to; HTTP/1.1 and HTTP/2 carry it alike. */
const label = 'x-exchange';

for (const pair of pairs) {
  describe(`HTTP, ${nameOf(pair)}: a call and its answer are the same directly and through the gateway`, {
    concurrency: true,
  }, () => {
    const received = new Map<string, ReturnType<typeof read>>();
    const places = new Map<string, string>();
    const tellWhatIsUnfinished = (number: number) => {
      const here = [...places].filter(([name, place]) => name.startsWith(`${number} `) && place !== 'all was sent');
      const there = [...received.keys()].filter((name) => name.startsWith(`${number} `));
      if (here.length > 0) console.error(`# unfinished: ${JSON.stringify(here)}; at the upstream: ${there.join(', ')}`);
    };
    let stage: Stage;
    before(async () => {
      stage = await startStage(pair, {
        serve: (arrival) => {
          const number = valueIn(arrival.fields, label);
          const exchange = exchanges[Number.parseInt(number, 10)];
          const whole = read(arrival, pair);
          received.set(number, whole);
          whole.then(() => exchange && reply(exchange, arrival));
        },
      });
    });

    for (const [number, exchange] of exchanges.entries()) {
      it(exchange.what, async (test) => {
        test.signal.addEventListener('abort', () => tellWhatIsUnfinished(number));
        // Nobody has seen it before: its proof takes a while, and the caller's bytes do not wait for it.
        const token = await stage.rig.provider.accessToken();
        const [seen, seenDirectly] = await Promise.all([
          make(`${number} through`, exchange, { caller: stage.through, token }),
          make(`${number} directly`, exchange, { caller: stage.direct, token }),
        ]);
        const [got, gotDirectly] = await Promise.all([
          received.get(`${number} through`),
          received.get(`${number} directly`),
        ]);
        assert.equal(seenDirectly.status, exchange.answer.status, 'the test itself works');
        assert.deepEqual(seen, seenDirectly, 'the answer');
        assert.deepEqual(got, gotDirectly, 'the request');
      });
    }

    /** One call; what its client saw. */
    async function make(name: string, exchange: Exchange, { caller, token }: { caller: Caller; token: string }) {
      const at = (place: string) => void places.set(name, place);
      const { method = 'GET', target = '/', fields = [], body, trailers } = exchange;
      const credential = ['Authorization', `Bearer ${token}`, label, name];
      const question = { method, target, authority: 'matrix.test', fields: [...fields, ...credential] };
      const call = caller.open({ ...question, hasBody: body !== undefined, ...(trailers && { trailers }) });
      at('no head yet');
      const sent = body && pump(call.body, body);
      const head = await call.head;
      at('the head came');
      const content = await buffer(head.body);
      at('the body came');
      await sent;
      at('all was sent');
      return {
        status: head.status,
        // Only where both sides have one.
        reason: speaksHttp2(pair.upstream) ? '' : head.reason,
        interim: call.interim.map(([status, hints]) => [status, comparableAnswer(hints, pair)]),
        fields: comparableAnswer(head.fields, pair),
        body: digestOf(content),
        trailers: head.trailers(),
        isWhole: await call.ended,
      };
    }
  });
}

/** What arrived, without what the gateway must change. */
async function read(arrival: Arrival, pair: Pair) {
  const { method, target, authority, fields } = arrival;
  const body = digestOf(await buffer(arrival.body));
  // RFC 9110 §6.5.1: they may end with HTTP/2. Of HTTP/1.1 the client library underneath can send none.
  const trailers = speaksHttp2(pair.upstream) ? arrival.trailers() : [];
  const kept = comparableRequest(fields, pair).filter((part, i, all) => part !== label && all[i - 1] !== label);
  // No length and a length of 0 say the same of a request without a body (RFC 9112 §6.3).
  return { method, target, authority, fields: kept, body, trailers, length: valueIn(fields, 'content-length') || '0' };
}

function reply({ answer }: Exchange, arrival: Arrival): Promise<void> {
  for (const hint of answer.hints ?? []) arrival.inform(103, hint);
  return pump(arrival.start(answer.status, answer.fields, answer.trailers), answer.body ?? []);
}

function valueIn(fields: readonly string[], name: string): string {
  return fields.find((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name) ?? '';
}
