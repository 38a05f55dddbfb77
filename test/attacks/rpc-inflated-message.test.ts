import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

// A stranger sends few bytes that become very many once they are inflated.

const path = '/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata';
const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));

let rig: FakeRig;
before(async () => {
  rig = await startFakeRig();
});

describe('a compressed call', () => {
  it('is given up at 16 KiB, in a body, in an envelope and in a query', async () => {
    const small = gzipSync(Buffer.alloc(8_000_000, ' '));
    assert.ok(small.length < 16_384 && bomb.length > 16_384);
    const envelope = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), small]);
    envelope.writeUInt32BE(small.length, 1);
    const json = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const unary = await rig.ask(path, { method: 'POST', fields: json, body: small });
    assert.equal(unary.json()['code'], 'resource_exhausted');
    assert.equal((await rig.ask(path, { method: 'POST', fields: json, body: bomb })).status, 413);
    const web = { 'content-type': 'application/grpc-web', 'grpc-encoding': 'gzip' };
    const framed = await rig.ask(path, { method: 'POST', fields: web, body: envelope });
    assert.match(framed.text, /grpc-status: 8/);
    const message = small.subarray(0, 4000).toString('base64url');
    const query = `connect=v1&encoding=json&compression=gzip&base64=1&message=${message}`;
    const got = await rig.ask(`${path}?${query}`);
    assert.ok(got.status >= 400 && got.status < 500, String(got.status));
    assert.ok(got.text.length < 500);
  });

  it('in a coding that is not known is refused', async () => {
    const fields = { 'content-type': 'application/json', 'content-encoding': 'br' };
    const answer = await rig.ask(path, { method: 'POST', fields, body: brotliCompressSync('{}') });
    assert.equal(answer.json()['code'], 'unimplemented');
  });
});
