import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { createOnePort } from '../../src/demo/one-port.ts';
import type { Port } from './port.ts';

/** What a failing call says besides its code. */
export const complaint = 'asked to fail: ü 王, 100 % sure';
/** Trailers and metadata that are bytes (`grpc-status-details-bin` is one). */
export const bytes = Uint8Array.from([0, 1, 2, 250, 255]);

export const path = (method: string) => `/${EchoService.typeName}/${method}`;
export const toBytes = (init: MessageInitShape<typeof EchoRequestSchema>) =>
  Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, init)));
export const textOf = (answer: Buffer) => fromBinary(EchoResponseSchema, answer).text;

const answerBytes = (text: string, number = 1) =>
  Buffer.from(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text, number })));
const read = (request: Buffer): EchoRequest => fromBinary(EchoRequestSchema, request);

/**
 * The echo service by grpc-js. Metadata `x-meta` and `x-meta-bin` come back as headers and as trailers;
 * a text that begins with `wait` has no answer, or no end.
 *
 * @param onCancelled told of such a call, by its text, when its client gave it up
 */
export async function startGrpcService(onCancelled: (text: string) => void): Promise<Port> {
  const same = (raw: Buffer) => raw;
  const kind = (name: string, requestStream: boolean, responseStream: boolean) => ({
    ...{ path: path(name), requestStream, responseStream, requestSerialize: same, requestDeserialize: same },
    ...{ responseSerialize: same, responseDeserialize: same },
  });
  const server = new grpc.Server();
  server.addService(
    {
      Unary: kind('Unary', false, false),
      ServerStream: kind('ServerStream', false, true),
      ClientStream: kind('ClientStream', true, false),
      BidiStream: kind('BidiStream', true, true),
    },
    implementation(onCancelled),
  );
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, close: async () => server.forceShutdown() };
}

function implementation(onCancelled: (text: string) => void): grpc.UntypedServiceImplementation {
  const unary: grpc.handleUnaryCall<Buffer, Buffer> = (call, done) => {
    const trailers = mark(call);
    const { text, failWith } = read(call.request);
    if (failWith > 0) done({ code: failWith, details: complaint, metadata: trailers });
    // Answered by nobody: the client's own deadline has to end it.
    else if (text.startsWith('wait')) call.on('cancelled', () => onCancelled(text));
    else done(null, answerBytes(text), trailers);
  };
  const serverStream: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
    const trailers = mark(call);
    const { text, count, failWith } = read(call.request);
    for (let number = 1; number <= count; number++) call.write(answerBytes(text, number));
    if (text.startsWith('wait')) call.on('cancelled', () => onCancelled(text));
    else if (failWith > 0) call.emit('error', { code: failWith, details: complaint, metadata: trailers });
    else call.end(trailers);
  };
  const clientStream: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, done) => {
    const trailers = mark(call);
    const texts: string[] = [];
    call.on('data', (request: Buffer) => texts.push(read(request).text));
    call.on('end', () => done(null, answerBytes(texts.join(' ')), trailers));
  };
  const bidi: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    const trailers = mark(call);
    call.on('data', (request: Buffer) => call.write(answerBytes(read(request).text)));
    // Says goodbye after the client has said its last: half of the call is still open then.
    call.on('end', () => call.write(answerBytes('bye'), () => call.end(trailers)));
  };
  return { Unary: unary, ServerStream: serverStream, ClientStream: clientStream, BidiStream: bidi };
}

type AnyCall = { readonly metadata: grpc.Metadata; sendMetadata(metadata: grpc.Metadata): void };

/** @returns the trailers */
function mark(call: AnyCall): grpc.Metadata {
  const [header, trailers] = [new grpc.Metadata(), new grpc.Metadata()];
  for (const name of ['x-meta', 'x-meta-bin']) {
    for (const value of call.metadata.get(name)) {
      header.add(name, value);
      trailers.add(name.replace('x-meta', 'x-end'), value);
    }
  }
  trailers.set('grpc-status-details-bin', Buffer.from(bytes));
  call.sendMetadata(header);
  return trailers;
}

/** The same by connect-node, in gRPC, gRPC-Web and Connect, over HTTP/1.1 and cleartext HTTP/2 on one port. */
export async function startConnectService(): Promise<Port> {
  const port = createOnePort();
  const serve = connectNodeAdapter({ routes: addService });
  port.http1.on('request', serve);
  port.http2.on('request', serve);
  return { port: await port.start(0, '127.0.0.1'), close: port.stop };
}

function addService(router: ConnectRouter): void {
  router.service(EchoService, {
    unary: (request, context) => {
      echoMetadata(context);
      failIfAsked(request);
      return create(EchoResponseSchema, { text: request.text, number: 1 });
    },
    async *serverStream(request, context) {
      echoMetadata(context);
      for (let number = 1; number <= request.count; number++) {
        yield create(EchoResponseSchema, { text: request.text, number });
      }
      failIfAsked(request);
    },
    async clientStream(requests, context) {
      echoMetadata(context);
      const texts: string[] = [];
      for await (const { text } of requests) texts.push(text);
      return create(EchoResponseSchema, { text: texts.join(' '), number: texts.length });
    },
    async *bidiStream(requests, context) {
      echoMetadata(context);
      for await (const { text } of requests) yield create(EchoResponseSchema, { text, number: 1 });
      yield create(EchoResponseSchema, { text: 'bye', number: 2 });
    },
  });
}

function echoMetadata({ requestHeader, responseHeader, responseTrailer }: HandlerContext): void {
  for (const name of ['x-meta', 'x-meta-bin']) {
    const value = requestHeader.get(name);
    if (value === null) continue;
    responseHeader.set(name, value);
    responseTrailer.set(name.replace('x-meta', 'x-end'), value);
  }
}

function failIfAsked({ failWith }: EchoRequest): void {
  if (failWith === 0) return;
  const details = [{ desc: EchoRequestSchema, value: { text: 'a detail', count: 7 } }];
  throw new ConnectError(complaint, failWith as Code, { 'x-why': 'asked' }, details);
}
