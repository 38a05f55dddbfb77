import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { requireProgram } from '../programs.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

let rig: FakeRig;
let cookie: string;
let token: string;
before(async () => {
  rig = await startFakeRig();
  ({ cookie } = await rig.signIn());
  token = await rig.provider.accessToken({ sub: 'ada' });
});

type Init = MessageInitShape<typeof EchoRequestSchema>;
const path = (method: string) => `/${EchoService.typeName}/${method}`;
const toBytes = (request: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, request));
const fromBytes = (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes);

for (const by of ['bearer', 'flyte bearer', 'cookie'] as const) {
  describe(`gRPC by ${by}`, () => {
    let client: Client;
    const metadata = () => {
      const made = new Metadata();
      if (by === 'cookie') made.set('cookie', cookie);
      else made.set(by === 'bearer' ? 'authorization' : 'flyte-authorization', `Bearer ${token}`);
      return made;
    };
    before(() => {
      client = new Client(`localhost:${rig.port}`, credentials.createInsecure());
      endLater(async () => client.close());
    });
    const unary = (init: Init) => {
      const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof fromBytes>>();
      const answered = (error: ServiceError | null, response?: ReturnType<typeof fromBytes>) =>
        response ? resolve(response) : reject(error);
      const call = client.makeUnaryRequest(
        path('Unary'),
        toBytes,
        fromBytes,
        create(EchoRequestSchema, init),
        metadata(),
        answered,
      );
      const head = new Promise<Metadata>((seen) => call.once('metadata', seen));
      const status = new Promise<Metadata>((seen) => call.once('status', ({ metadata: trailers }) => seen(trailers)));
      return { response: promise, head, trailers: status };
    };

    it('makes a unary call, with header, trailer and who it is', async () => {
      const { response, head, trailers } = unary({ text: 'hello' });
      const { text, identity, hasBearer } = await response;
      assert.equal(text, 'hello');
      assert.equal(identity['x-auth-request-user'], 'ada');
      assert.equal(hasBearer, by !== 'cookie');
      assert.deepEqual((await head).get('echo-header'), ['seen']);
      assert.deepEqual((await trailers).get('echo-trailer'), ['seen']);
    });

    it('hears the service’s own failures', async () => {
      await assert.rejects(unary({ text: 'x', failWith: Code.NotFound }).response, { code: Code.NotFound });
    });

    it('receives a stream', async () => {
      const request = create(EchoRequestSchema, { text: 'x', count: 5 });
      const call = client.makeServerStreamRequest(path('ServerStream'), toBytes, fromBytes, request, metadata());
      const numbers: number[] = [];
      for await (const { number } of call) numbers.push(number);
      assert.deepEqual(numbers, [1, 2, 3, 4, 5]);
    });

    it('sends a stream', async () => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const call = client.makeClientStreamRequest(
        path('ClientStream'),
        toBytes,
        fromBytes,
        metadata(),
        (error, response) => (response ? resolve(response.text) : reject(error)),
      );
      for (const text of ['a', 'b', 'c']) call.write(create(EchoRequestSchema, { text }));
      call.end();
      assert.equal(await promise, 'a b c');
    });

    it('talks in both directions, each message before the next', async () => {
      const call = client.makeBidiStreamRequest(path('BidiStream'), toBytes, fromBytes, metadata());
      const answers = call[Symbol.asyncIterator]();
      for (const text of ['one', 'two', 'three']) {
        call.write(create(EchoRequestSchema, { text }));
        assert.equal((await answers.next()).value.text, text);
      }
      call.end();
      assert.equal((await answers.next()).done, true);
    });
  });
}

describe('Connect and gRPC-Web', () => {
  const withFields =
    (fields: () => Record<string, string>): Interceptor =>
    (next) =>
    (request) => {
      for (const [name, value] of Object.entries(fields())) request.header.set(name, value);
      return next(request);
    };
  const transports: readonly (readonly [
    string,
    (options: { baseUrl: string; interceptors: Interceptor[] }) => Transport,
  ])[] = [
    ['Connect over HTTP/1.1', (options) => createConnectTransport({ ...options, httpVersion: '1.1' })],
    [
      'Connect in JSON',
      (options) => createConnectTransport({ ...options, httpVersion: '1.1', useBinaryFormat: false }),
    ],
    ['Connect over HTTP/2', (options) => createConnectTransport({ ...options, httpVersion: '2' })],
    ['gRPC-Web over HTTP/1.1', (options) => createGrpcWebTransport({ ...options, httpVersion: '1.1' })],
    ['gRPC over HTTP/2', (options) => createGrpcTransport(options)],
  ];

  let lost: FakeRig;
  before(async () => {
    lost = await startFakeRig({ behaviour: { answers: { jwks: { status: 500 } } } });
  });

  for (const [what, make] of transports) {
    const clientWith = (fields: () => Record<string, string>) =>
      createClient(EchoService, make({ baseUrl: `http://localhost:${rig.port}`, interceptors: [withFields(fields)] }));

    it(`${what} calls and receives streams`, async () => {
      const client = clientWith(() => ({ 'flyte-authorization': `Bearer ${token}` }));
      assert.equal((await client.unary({ text: 'hello' })).identity['x-user-subject'], 'ada');
      const numbers: number[] = [];
      for await (const { number } of client.serverStream({ text: 'x', count: 3 })) numbers.push(number);
      assert.deepEqual(numbers, [1, 2, 3]);
    });

    it(`${what} hears that it has to sign in, in a call and in a stream`, async () => {
      const client = clientWith(() => ({}));
      const isUnauthenticated = (error: unknown) => ConnectError.from(error).code === Code.Unauthenticated;
      await assert.rejects(client.unary({ text: 'x' }), isUnauthenticated);
      await assert.rejects(client.serverStream({ text: 'x' })[Symbol.asyncIterator]().next(), isUnauthenticated);
    });

    it(`${what} hears that nobody could tell`, async () => {
      const other = await lost.provider.accessToken();
      const fields = () => ({ authorization: `Bearer ${other}` });
      const client = createClient(EchoService, make({ baseUrl: lost.url, interceptors: [withFields(fields)] }));
      await assert.rejects(client.unary({ text: 'x' }), (error) => {
        const { code, message } = ConnectError.from(error);
        assert.doesNotMatch(message, /unauthenticated|unauthorized/i);
        return code === Code.Unavailable;
      });
    });
  }
});

const core = requireProgram('grpc');

describe('gRPC’s C core', { skip: core.skip }, () => {
  it('makes all four kinds of calls, and hears a refusal as UNAUTHENTICATED', async () => {
    const target = `localhost:${rig.port}`;
    const { stdout } = await promisify(execFile)(core.path, ['-c', coreClient, target, path(''), token], {
      timeout: 30_000,
    });
    assert.deepEqual(JSON.parse(stdout), {
      unary: ['hi'],
      trailer: 'seen',
      server: ['hi', 'hi', 'hi'],
      client: ['hi hi'],
      bidi: ['hi', 'hi'],
      refused: 'UNAUTHENTICATED',
    });
  });
});

/** Bytes by hand: field 1 is the text, 2 how many answers. The text of an answer stands first, too. */
const coreClient = `
import grpc, json, sys
target, path, token = sys.argv[1:4]
channel = grpc.insecure_channel(target)
metadata = [('flyte-authorization', 'Bearer ' + token)]
one, three = b'\\x0a\\x02hi', b'\\x0a\\x02hi\\x10\\x03'
text = lambda answer: answer[2:2 + answer[1]].decode()
answer, call = channel.unary_unary(path + 'Unary').with_call(one, metadata=metadata, timeout=20)
found = {'unary': [text(answer)], 'trailer': dict(call.trailing_metadata())['echo-trailer']}
found['server'] = [text(a) for a in channel.unary_stream(path + 'ServerStream')(three, metadata=metadata, timeout=20)]
found['client'] = [text(channel.stream_unary(path + 'ClientStream')(iter([one, one]), metadata=metadata, timeout=20))]
found['bidi'] = [text(a) for a in channel.stream_stream(path + 'BidiStream')(iter([one, one]), metadata=metadata, timeout=20)]
try:
  channel.unary_unary(path + 'Unary')(one, timeout=20)
except grpc.RpcError as error:
  found['refused'] = error.code().name
print(json.dumps(found))
`;
