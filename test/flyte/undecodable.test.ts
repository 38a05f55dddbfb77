import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

// A varint that never ends; a field of a wire type that there is none of; a length beyond the message.
const garbage = { endless: [0x08, 0xff], typeless: [0x0f, 0x00], 'cut short': [0x0a, 0x20, 0x61] } as const;

const enveloped = (bytes: readonly number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);

describe('a message that cannot be decoded is the caller’s mistake', () => {
  let rig: FakeRig;
  let authorization: string;
  before(async () => {
    rig = await startFakeRig();
    authorization = `Bearer ${await rig.provider.accessToken()}`;
  });
  const paths = [
    '/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata',
    '/flyteidl.service.AuthMetadataService/GetPublicClientConfig',
    '/flyteidl2.auth.IdentityService/UserInfo',
  ];
  const post = (path: string, type: string, body: string | Uint8Array) => {
    const connect = { 'connect-protocol-version': '1' };
    const fields = { 'content-type': type, authorization, ...(type === 'application/proto' && connect) };
    return rig.ask(path, { method: 'POST', fields, body });
  };
  const noBug = (id: string | undefined) => {
    const lines = rig.log
      .text()
      .split('\n')
      .filter((line) => id !== undefined && line.includes(id));
    assert.equal(lines.length, 1, lines.join());
    assert.match(lines[0] ?? '', /"request.refused".*"message_malformed"/);
  };

  for (const path of paths)
    for (const [what, bytes] of Object.entries(garbage)) {
      it(`in Connect: ${what}, ${path}`, async () => {
        const answer = await post(path, 'application/proto', Buffer.from(bytes));
        assert.deepEqual([answer.status, answer.json()['code']], [400, 'invalid_argument']);
        assert.deepEqual(Object.keys(answer.json()), ['code', 'message', 'reference']);
        noBug(answer.one('x-request-id'));
      });

      it(`in gRPC-Web, binary and text: ${what}, ${path}`, async () => {
        const body = enveloped(bytes);
        const binary = await post(path, 'application/grpc-web+proto', body);
        const text = await post(path, 'application/grpc-web-text', body.toString('base64'));
        for (const answer of [binary, text]) assert.deepEqual([answer.status, answer.one('grpc-status')], [200, '3']);
        assert.match(Buffer.from(text.text, 'base64').toString('latin1'), /^\x80.*grpc-status: 3/s);
        noBug(binary.one('x-request-id'));
      });

      it(`in gRPC: ${what}, ${path}`, async () => {
        const session = connectHttp2(rig.url);
        endLater(async () => session.destroy());
        const head = {
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
          authorization,
        };
        const stream = session.request(head);
        stream.end(enveloped(bytes));
        stream.resume();
        const answer = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
        assert.deepEqual([answer[':status'], answer['grpc-status']], [200, '3']);
      });
    }

  it('in JSON, as it was', async () => {
    const answer = await post(paths[0] ?? '', 'application/json', '{');
    assert.deepEqual([answer.status, answer.json()['code']], [400, 'invalid_argument']);
  });
});
