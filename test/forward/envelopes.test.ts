import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Envelopes, followEnvelopes, followEnvelopesInBase64 } from '../../src/forward/envelopes.ts';

function envelope(flags: number, payload: string): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, Buffer.from(payload)]);
}

const base64 = (bytes: Buffer) => Buffer.from(bytes.toString('base64'));

/** The place after every single byte. */
function placesOf(envelopes: Envelopes, bytes: Buffer): string[] {
  return [...bytes].map((byte) => {
    envelopes.pass(Buffer.from([byte]));
    return envelopes.place;
  });
}

describe('a stream of envelopes', () => {
  it('is between two before it begins, and after each of them only', () => {
    const envelopes = followEnvelopes(0x02);
    assert.equal(envelopes.place, 'between');
    const places = placesOf(envelopes, Buffer.concat([envelope(0, 'abc'), envelope(1, ''), envelope(0, 'd')]));
    const between = [...places.entries()].filter(([, place]) => place === 'between').map(([at]) => at + 1);
    assert.deepEqual(between, [8, 13, 19]);
  });

  it('is at the same place however the bytes were cut into chunks', () => {
    const bytes = Buffer.concat([envelope(0, 'one'), envelope(0, ''), envelope(1, 'three'), envelope(0, 'x')]);
    for (let first = 0; first <= bytes.length; first++)
      for (let second = first; second <= bytes.length; second++) {
        const envelopes = followEnvelopes(0x02);
        for (const part of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])
          envelopes.pass(part);
        assert.equal(envelopes.place, 'between');
      }
  });

  for (const [protocol, flag, other] of [
    ['Connect', 0x02, 0x80],
    ['gRPC-Web', 0x80, 0x02],
  ] as const) {
    it(`has ended after the last envelope of ${protocol}, compressed or not, and not inside it`, () => {
      for (const flags of [flag, flag | 1]) {
        const envelopes = followEnvelopes(flag);
        envelopes.pass(envelope(other, 'a message'));
        assert.equal(envelopes.place, 'between');
        const last = envelope(flags, '{}');
        envelopes.pass(last.subarray(0, 6));
        assert.equal(envelopes.place, 'inside');
        envelopes.pass(last.subarray(6));
        assert.equal(envelopes.place, 'ended');
      }
    });
  }

  it('reads a length of four gigabytes as that, not as a negative number', () => {
    const envelopes = followEnvelopes(0x02);
    envelopes.pass(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    envelopes.pass(Buffer.alloc(1_000_000));
    assert.equal(envelopes.place, 'inside');
  });
});

describe('a stream of envelopes in base64', () => {
  it('counts pieces that were padded by themselves', () => {
    const envelopes = followEnvelopesInBase64(0x80);
    for (const text of ['', 'a', 'ab', 'abc']) {
      envelopes.pass(base64(envelope(0, text)));
      assert.equal(envelopes.place, 'between');
    }
    envelopes.pass(base64(envelope(0x80, 'grpc-status: 0\r\n')));
    assert.equal(envelopes.place, 'ended');
  });

  it('is inside while a group of four characters is, even if the envelope could be over', () => {
    const envelopes = followEnvelopesInBase64(0x80);
    // 8 bytes and one of the next, in one encoding.
    const text = base64(Buffer.concat([envelope(0, 'abcd'), envelope(0, '')]));
    const places = placesOf(envelopes, text);
    const between = [...places.entries()].filter(([, place]) => place === 'between').map(([at]) => at + 1);
    assert.deepEqual(between, [12, text.length]);
  });

  it('is inside from the first character on that is not base64', () => {
    const envelopes = followEnvelopesInBase64(0x80);
    envelopes.pass(Buffer.from('****'));
    assert.equal(envelopes.place, 'inside');
    envelopes.pass(base64(envelope(0, '')));
    assert.equal(envelopes.place, 'inside');
  });
});
