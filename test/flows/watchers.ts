import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ConnectError, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { endLater } from './rig.ts';

/** A field that says who asks: `authorization` or `cookie`. */
export type Proof = readonly [name: string, value: string];

/** Every way in which clients that nobody here wrote watch a stream of the demo's echo service. */
export const watchers: Readonly<Record<string, (url: string, proof: Proof) => Promise<Watched>>> = {
  'Connect over HTTP/1.1': (url, proof) => watch(createConnectTransport(of(url, proof, '1.1'))),
  'Connect over HTTP/2': (url, proof) => watch(createConnectTransport(of(url, proof, '2'))),
  'gRPC-Web over HTTP/1.1': (url, proof) => watch(createGrpcWebTransport(of(url, proof, '1.1'))),
  'gRPC-Web over HTTP/2': (url, proof) => watch(createGrpcWebTransport(of(url, proof, '2'))),
  'gRPC by connect-es': (url, proof) => watch(createGrpcTransport(of(url, proof, '2'))),
  'gRPC by grpc-js': watchByGrpcJs,
};

function of<V extends '1.1' | '2'>(baseUrl: string, [name, value]: Proof, httpVersion: V) {
  const withProof: Interceptor = (next) => (request) => {
    request.header.set(name, value);
    return next(request);
  };
  return { baseUrl, httpVersion, interceptors: [withProof] };
}

const ticks = { text: 'tick', count: 10_000, intervalMs: 20 };

/** A stream whose first message has come. */
export interface Watched {
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

async function watchByGrpcJs(url: string, [name, value]: Proof): Promise<Watched> {
  const client = new Client(new URL(url).host, credentials.createInsecure());
  endLater(async () => client.close());
  const metadata = new Metadata();
  metadata.set(name, value);
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
