import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { talk } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
after(stage.close);

const flyteHeaders = ['flyte-authorization', 'x-flyte-http'];

/** The credential fields that the service sees. */
async function seenWith(bearer: string | undefined, sent: readonly string[]): Promise<readonly string[]> {
  const { door, upstream } = await stage.answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', {
    plan: { bearer },
    flyteHeaders,
  });
  const fields = sent.map((field) => `${field}\r\n`).join('');
  await talk(door.http1Port, `GET / HTTP/1.1\r\nHost: h\r\n${fields}Connection: close\r\n\r\n`);
  return (upstream.received[0] ?? '').split('\r\n').filter((line) => /^[\w-]*(authorization|flyte)[\w-]*:/i.test(line));
}

describe('of several credentials in one request', () => {
  for (const forged of [
    'flyte-authorization: Bearer FORGED',
    'authorization: Bearer FORGED',
    'flyte-authorization: Bearer provedFORGED',
    'flyte-authorization: Bearer proved FORGED',
    'flyte-authorization: Bearer proved, Bearer FORGED',
    'flyte-authorization: Bearer FORGED proved',
    'flyte-authorization: Bearer PROVED',
    'flyte-authorization: Basic proved',
    'flyte-authorization: Bearerproved',
    'flyte-authorization: proved',
    'flyte-authorization: Bearer',
    'Flyte_Authorization: Bearer proved',
  ])
    it(`${JSON.stringify(forged)} stays behind, and the proved one goes on`, async () => {
      assert.deepEqual(await seenWith('proved', ['x-flyte-http: bearer proved', forged]), [
        'x-flyte-http: bearer proved',
      ]);
    });

  it('all that carry the proved token go on', async () => {
    const sent = ['X-Flyte-Http: BEARER proved', 'authorization: Bearer proved'];
    assert.deepEqual(await seenWith('proved', sent), sent);
  });

  for (const nothing of [undefined, ''])
    it(`none goes on when ${nothing === '' ? 'the proved one is empty' : 'none was proved'}`, async () => {
      const sent = ['flyte-authorization: Bearer FORGED', 'authorization: Bearer ', 'x-flyte-http: Bearer undefined'];
      assert.deepEqual(await seenWith(nothing, sent), []);
    });
});
