import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Answer } from '../flows/ask.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

let rig: FakeRig;
let token: string;
before(async () => {
  rig = await startFakeRig();
  token = await rig.provider.accessToken();
});

const services = ['flyteidl.service', 'flyteidl2.auth'] as const;
const methods = ['AuthMetadataService/GetOAuth2Metadata', 'AuthMetadataService/GetPublicClientConfig'] as const;
const open = services.flatMap((service) => methods.map((method) => `/${service}.${method}`));
const closed = services.map((service) => `/${service}.IdentityService/UserInfo`);
const proto = { 'content-type': 'application/proto', 'connect-protocol-version': '1' };
const json = { 'content-type': 'application/json' };
const emptyFrame = Buffer.alloc(5);

describe('calls by hand', () => {
  for (const path of open) {
    it(`${path} answers curl: a GET with its message in the query, and a POST of JSON`, async () => {
      const got = await rig.ask(`${path}?connect=v1&encoding=json&message=%7B%7D`);
      const posted = await rig.ask(path, { method: 'POST', fields: json, body: '{}' });
      assert.deepEqual([got.status, posted.status], [200, 200]);
      assert.deepEqual(got.json(), posted.json());
      assert.equal(got.one('content-type'), 'application/json');
      assert.equal(got.one('cache-control'), 'no-store');
    });
  }

  it('answers JSON with fields it does not know, as a newer client may send', async () => {
    const [path = ''] = open;
    assert.equal((await rig.ask(path, { method: 'POST', fields: json, body: '{"new":1}' })).status, 200);
  });

  it('answers gRPC-Web in text, as browsers send it', async () => {
    const [path = ''] = open;
    for (const type of ['application/grpc-web-text', 'application/grpc-web-text+proto']) {
      const body = emptyFrame.toString('base64');
      const answer = await rig.ask(path, { method: 'POST', fields: { 'content-type': type }, body });
      assert.equal(answer.one('content-type'), type);
      const bytes = Buffer.from(answer.text, 'base64');
      const length = bytes.readUInt32BE(1);
      assert.ok(bytes.subarray(5, 5 + length).includes(rig.issuer));
      assert.equal(bytes[5 + length], 0x80);
      assert.match(bytes.subarray(10 + length).toString(), /grpc-status: 0/);
    }
  });

  it('says everything in JSON by one shape: code, message, reference', async () => {
    const [path = ''] = open;
    const garbled = await rig.ask(path, { method: 'POST', fields: json, body: '{' });
    const stranger = await rig.ask(closed[0] ?? '', { method: 'POST', fields: json, body: '{}' });
    assert.deepEqual([garbled.status, stranger.status], [400, 401]);
    for (const answer of [garbled, stranger]) {
      assert.deepEqual(Object.keys(answer.json()), ['code', 'message', 'reference']);
      assert.equal(answer.json()['reference'], answer.one('x-request-id'));
    }
    assert.equal(stranger.one('www-authenticate'), 'Bearer realm="flyte"');
  });

  for (const path of [...open, ...closed]) {
    it(`${path} is there for its own methods and types only`, async () => {
      for (const method of ['PUT', 'DELETE', 'HEAD', 'PATCH']) {
        const answer = await rig.ask(path, { method, fields: proto });
        assert.equal(answer.status, 405, method);
        assert.equal(answer.one('allow'), closed.includes(path) ? 'POST' : 'POST, GET');
      }
      const fields = { 'content-type': 'text/plain', authorization: `Bearer ${token}` };
      assert.equal((await rig.ask(path, { method: 'POST', fields, body: 'x' })).status, 415);
      const bare = await rig.ask(path);
      assert.equal(bare.status, closed.includes(path) ? 405 : 415, 'a page is no call');
    });

    it(`${path} takes no body over 16 KiB`, async () => {
      const fields = { ...json, authorization: `Bearer ${token}` };
      const long = await rig.ask(path, { method: 'POST', fields, body: ' '.repeat(20_000) });
      assert.equal(long.status, 413);
    });
  }

  it('goes on serving a connection after a body that was too long, over HTTP/2', async () => {
    const session = connectHttp2(rig.url);
    endLater(async () => session.destroy());
    const post = (body: Buffer) =>
      new Promise<[number, string]>((resolve, reject) => {
        const stream = session.request({ ':method': 'POST', ':path': open[0], ...json });
        let status = 0;
        let text = '';
        stream.setEncoding('utf8');
        stream.on('response', (head) => {
          status = head[':status'] ?? 0;
        });
        stream.on('data', (chunk: string) => {
          text += chunk;
        });
        stream.on('error', reject);
        stream.on('end', () => resolve([status, text]));
        stream.end(body);
      });
    assert.equal((await post(Buffer.alloc(1_000_000, ' ')))[0], 413);
    assert.equal((await post(Buffer.from('{}')))[0], 200);
  });

  it('refuses gRPC over HTTP/1.1, where its status could not be said', async () => {
    const fields = { 'content-type': 'application/grpc' };
    assert.equal((await rig.ask(open[0] ?? '', { method: 'POST', fields, body: emptyFrame })).status, 505);
  });

  const statusOf = (answer: Answer) => [answer.status, answer.json()['code']];
  for (const service of ['AuthMetadataService', 'IdentityService'].flatMap((name) =>
    services.map((s) => `${s}.${name}`),
  )) {
    it(`${service} has no other method, whoever asks and whatever stands behind`, async () => {
      const path = `/${service}/DeleteEverything`;
      const authorization = `Bearer ${token}`;
      assert.deepEqual(statusOf(await rig.ask(path, { method: 'POST', fields: proto })), [501, 'unimplemented']);
      assert.deepEqual(statusOf(await rig.ask(path, { fields: { authorization } })), [404, 'unimplemented']);
      const web = { 'content-type': 'application/grpc-web', authorization };
      assert.equal((await rig.ask(path, { method: 'POST', fields: web })).one('grpc-status'), '12');
    });
  }
});

describe('grpc-js', () => {
  let client: Client;
  before(() => {
    client = new Client(`localhost:${rig.port}`, credentials.createInsecure());
    endLater(async () => client.close());
  });
  const raw = (bytes: Buffer) => bytes;
  const call = (path: string, fields: Readonly<Record<string, string>> = {}, body: Buffer = Buffer.alloc(0)) => {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
    const answered = (error: ServiceError | null, response?: Buffer) => (response ? resolve(response) : reject(error));
    client.makeUnaryRequest(path, raw, raw, body, metadata, answered);
    return promise;
  };

  for (const path of open)
    it(`${path} is answered to strangers`, async () => assert.ok((await call(path)).length > 20));

  for (const path of closed) {
    it(`${path} wants a credential, and hears no other’s`, async () => {
      await assert.rejects(call(path), { code: 16 });
      await assert.rejects(call(path, { authorization: 'Bearer x' }), { code: 16 });
      const bytes = await call(path, { 'flyte-authorization': `Bearer ${token}` });
      assert.ok(bytes.includes('Ada Lovelace'));
    });
  }

  it('hears of unknown methods, long messages and broken ones in its own codes', async () => {
    await assert.rejects(call('/flyteidl2.auth.IdentityService/Nothing'), { code: 12 });
    await assert.rejects(call(open[0] ?? '', {}, Buffer.alloc(40_000)), { code: 8 });
    await assert.rejects(call(open[0] ?? '', {}, Buffer.from([0xff])), { code: 3 });
  });
});
