import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { believedForMs, createOutage } from '../../src/oidc/outage.ts';

const issuer = 'https://idp.example.com';

describe('whether an issuer is out of reach', () => {
  const setUp = () => {
    const at = { now: 1_000_000 };
    const answers: PromiseWithResolvers<void>[] = [];
    const ask = () => {
      const answer = Promise.withResolvers<void>();
      answers.push(answer);
      return answer.promise;
    };
    return { at, answers, outage: createOutage({ ask, issuer, now: () => at.now }) };
  };

  it('is the failure to get an answer, with its cause', async () => {
    const cause = new Error('refused');
    const { answers, outage } = setUp();
    const found = outage();
    answers[0]?.reject(cause);
    const failure = await found;
    assert.deepEqual([failure?.code, failure?.cause], ['issuer_unreachable', cause]);
  });

  it('is asked once by however many want to know', async () => {
    const { answers, outage } = setUp();
    const found = [outage(), outage(), outage()];
    answers[0]?.resolve();
    assert.deepEqual(await Promise.all(found), [undefined, undefined, undefined]);
    assert.equal(answers.length, 1);
  });

  for (const [what, laterMs, asked] of [
    ['is believed for a while', believedForMs - 1, 1],
    ['is asked anew after that', believedForMs, 2],
    ['is asked anew when the clock was set back', -1, 2],
  ] as const) {
    it(what, async () => {
      const { at, answers, outage } = setUp();
      const first = outage();
      answers[0]?.reject(new Error('refused'));
      assert.ok(await first);
      at.now += laterMs;
      const second = outage();
      answers[1]?.resolve();
      assert.equal((await second) === undefined, asked === 2);
      assert.equal(answers.length, asked);
    });
  }
});
