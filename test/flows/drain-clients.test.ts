import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

/** What a client that nobody here wrote makes of a watch stream that is open when the drain is over. */
describe('a watch stream at the end of server.drain', { timeout: 30_000 }, () => {
  let rig: FakeRig;
  const endings = new Map<string, Promise<unknown>>();
  before(async () => {
    rig = await startFakeRig({ settings: { 'server.drain': '1s' } });
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const withToken: Interceptor = (next) => (request) => {
      request.header.set('authorization', authorization);
      return next(request);
    };
    const common = { baseUrl: rig.url, interceptors: [withToken] };
    const transports: Readonly<Record<string, Transport>> = {
      'Connect over HTTP/1.1': createConnectTransport({ ...common, httpVersion: '1.1' }),
      'Connect over HTTP/2': createConnectTransport({ ...common, httpVersion: '2' }),
      'gRPC-Web over HTTP/1.1': createGrpcWebTransport({ ...common, httpVersion: '1.1' }),
      'gRPC-Web over HTTP/2': createGrpcWebTransport({ ...common, httpVersion: '2' }),
      'gRPC by connect-es': createGrpcTransport(common),
    };
    for (const [name, transport] of Object.entries(transports)) endings.set(name, (await watch(transport)).ended);
    endings.set('gRPC by grpc-js', (await watchByGrpcJs(rig.port, authorization)).ended);
    await rig.stop();
  });

  for (const name of [
    'Connect over HTTP/1.1',
    'Connect over HTTP/2',
    'gRPC-Web over HTTP/1.1',
    'gRPC-Web over HTTP/2',
    'gRPC by connect-es',
    'gRPC by grpc-js',
  ])
    it(`is unavailable, and not done, to ${name}`, async () => {
      const { code, message } = Object(await endings.get(name));
      assert.equal(code, Code.Unavailable);
      assert.match(message, /the gateway is shutting down/);
    });
});

const ticks = { text: 'tick', count: 10_000, intervalMs: 20 };

interface Watched {
  /** The code and message of the error that ends it, or `done`. */
  readonly ended: Promise<unknown>;
}

/** Opens a stream and waits for its first message. */
async function watch(transport: Transport): Promise<Watched> {
  const stream = createClient(EchoService, transport).serverStream(ticks)[Symbol.asyncIterator]();
  await stream.next();
  const untilEnd = async () => {
    try {
      for (;;) if ((await stream.next()).done) return 'done';
    } catch (error) {
      const { code, rawMessage: message } = ConnectError.from(error);
      return { code, message };
    }
  };
  return { ended: untilEnd() };
}

async function watchByGrpcJs(port: number, authorization: string): Promise<Watched> {
  const client = new Client(`localhost:${port}`, credentials.createInsecure());
  endLater(async () => client.close());
  const metadata = new Metadata();
  metadata.set('authorization', authorization);
  const stream = client.makeServerStreamRequest(
    `/${EchoService.typeName}/ServerStream`,
    (request: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, request)),
    (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes),
    create(EchoRequestSchema, ticks),
    metadata,
  );
  const ended = new Promise((resolve) => {
    stream.once('error', ({ code, details }: Error & { code?: number; details?: string }) =>
      resolve({ code, message: details }),
    );
    stream.once('end', () => resolve('done'));
  });
  await new Promise((resolve) => stream.once('data', resolve));
  stream.resume();
  return { ended };
}
