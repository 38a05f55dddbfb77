import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { before, describe, it } from 'node:test';
import { type ByHand, startByHand } from './by-hand.ts';
import { nameOf, pairs, speaksHttp2 } from './pairs.ts';

/** What one side wants to send. */
const TOTAL = 32 << 20;
/** What may be on its way while the other side does not read: windows and buffers, ours and the libraries'. */
const IN_FLIGHT = 2 << 20;
/** The system's own buffers of a connection without windows: Linux's send buffer grows to 4 MiB. */
const OF_THE_SYSTEM = 6 << 20;
const PIECE = Buffer.from(Array.from({ length: 65_536 }, (_, i) => i % 251));
const whole = hashOf(Array.from({ length: TOTAL / PIECE.length }, () => PIECE));

for (const pair of pairs) {
  describe(`Back-pressure, ${nameOf(pair)}`, { timeout: 60_000 }, () => {
    const unlimited = [pair.client, pair.upstream].filter((protocol) => !speaksHttp2(protocol));
    const most = IN_FLIGHT + unlimited.length * OF_THE_SYSTEM;
    let stage: ByHand;
    before(async () => {
      stage = await startByHand(pair);
    });

    it('a client that does not read stops the upstream, and gets everything once it reads', async () => {
      const { call, arrival } = await stage.meet('/download');
      const sender = startSending(arrival.start(200, []));
      const { body } = await call.head;
      await standstill(stage, sender);
      assert.ok(sender.sent() < most, `${sender.sent()} bytes went out that nobody read`);
      assert.equal(await digest(body), whole);
      assert.equal(await call.ended, true);
    });

    it('an upstream that does not read stops the client, and gets everything once it reads', async () => {
      const call = stage.open('/upload', { method: 'PUT', hasBody: true });
      const sender = startSending(call.body);
      const arrival = await stage.arrival('/upload');
      await standstill(stage, sender);
      assert.ok(sender.sent() < most, `${sender.sent()} bytes went out that nobody read`);
      assert.equal(await digest(arrival.body), whole);
      arrival.start(200, []).end();
      (await call.head).body.resume();
      assert.equal(await call.ended, true);
    });
  });
}

interface Sender {
  sent(): number;
}

/** Sends as fast as it may. */
function startSending(to: Writable): Sender {
  let sent = 0;
  const send = () => {
    while (sent < TOTAL) {
      sent += PIECE.length;
      if (!to.write(PIECE)) {
        to.once('drain', send);
        return;
      }
    }
    to.end();
  };
  send();
  return { sent: () => sent };
}

/** Ends when nothing more was sent while 30 requests were made one after the other. */
async function standstill(stage: ByHand, { sent }: Sender): Promise<void> {
  let last = -1;
  for (let quiet = 0; quiet < 30 && sent() < TOTAL; quiet++) {
    const answer = stage.open('/me', { fields: ['Accept', 'application/json'] });
    (await answer.head).body.resume();
    await answer.ended;
    if (sent() !== last) quiet = 0;
    last = sent();
  }
}

async function digest(from: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of from) hash.update(chunk);
  return hash.digest('hex');
}

function hashOf(parts: readonly Buffer[]): string {
  return parts.reduce<Hash>((hash, part) => hash.update(part), createHash('sha256')).digest('hex');
}
