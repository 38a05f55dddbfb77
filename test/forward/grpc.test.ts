import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { type Front, startFront } from './front.ts';

const same = (bytes: Buffer) => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/echo.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

const service = {
  Unary: method('Unary', false, false),
  ClientStream: method('ClientStream', true, false),
  ServerStream: method('ServerStream', false, true),
  Bidi: method('Bidi', true, true),
};

/** Echoes: joined for one answer, one by one for many; `fail` is an error, `wait` waits to be cancelled. */
function implementation(onCancelled: () => void): grpc.UntypedServiceImplementation {
  const collect = async (call: AsyncIterable<Buffer>) => {
    const parts: Buffer[] = [];
    for await (const part of call) parts.push(part);
    return Buffer.concat(parts);
  };
  const unary: grpc.handleUnaryCall<Buffer, Buffer> = (call, done) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-seen-bin', call.metadata.get('x-data-bin')[0] ?? Buffer.alloc(0));
    if (String(call.request) === 'fail') done({ code: 9, details: 'precondition é', metadata });
    else done(null, call.request, metadata);
  };
  const clientStream: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, done) => {
    collect(call).then((all) => done(null, all), done);
  };
  const serverStream: grpc.handleServerStreamingCall<Buffer, Buffer> = (call) => {
    call.write(call.request);
    if (String(call.request) === 'wait') {
      call.on('cancelled', onCancelled);
      return;
    }
    call.write(call.request);
    call.end();
  };
  const bidi: grpc.handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (part: Buffer) => call.write(part));
    call.on('end', () => call.end());
  };
  return { Unary: unary, ClientStream: clientStream, ServerStream: serverStream, Bidi: bidi };
}

describe('gRPC through the forwarder, with the C-compatible client of Node', () => {
  const cancelled = Promise.withResolvers<void>();
  const server = new grpc.Server();
  let door: Front;
  let client: grpc.Client;

  before(async () => {
    server.addService(service, implementation(cancelled.resolve));
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
    door = await startFront({ upstream: { port, protocol: 'http' } });
    client = new grpc.Client(`127.0.0.1:${door.http2Port}`, grpc.credentials.createInsecure());
  });

  after(async () => {
    client.close();
    server.forceShutdown();
    await door.close();
  });

  const unary = (text: string, metadata = new grpc.Metadata()) =>
    new Promise<{ body: Buffer | undefined; error: grpc.ServiceError | null; trailers: grpc.Metadata }>((resolve) => {
      let seen: { body: Buffer | undefined; error: grpc.ServiceError | null } | undefined;
      const { path } = service.Unary;
      const call = client.makeUnaryRequest(path, same, same, Buffer.from(text), metadata, (error, body) => {
        seen = { body, error };
      });
      call.on('status', (status) =>
        resolve({ body: seen?.body, error: seen?.error ?? null, trailers: status.metadata }),
      );
    });

  it('unary: message, binary metadata and trailers', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-data-bin', Buffer.from([0, 1, 255]));
    const { body, trailers } = await unary('hello', metadata);
    assert.equal(String(body), 'hello');
    assert.deepEqual(trailers.get('x-seen-bin'), [Buffer.from([0, 1, 255])]);
  });

  it('unary: an error keeps its code, its message and its trailers', async () => {
    const { error } = await unary('fail');
    assert.equal(error?.code, 9);
    assert.equal(error?.details, 'precondition é');
  });

  it('client streaming', async () => {
    const { path } = service.ClientStream;
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client.makeClientStreamRequest<Buffer, Buffer>(path, same, same, (error, body) =>
        error ? reject(error) : resolve(body),
      );
      for (const part of ['a', 'b', 'c']) call.write(Buffer.from(part));
      call.end();
    });
    assert.equal(String(answer), 'abc');
  });

  it('server streaming', async () => {
    const call = client.makeServerStreamRequest<Buffer, Buffer>(
      service.ServerStream.path,
      same,
      same,
      Buffer.from('x'),
    );
    const parts: string[] = [];
    for await (const part of call) parts.push(String(part));
    assert.deepEqual(parts, ['x', 'x']);
  });

  it('both ways at once: each answer comes before the next question', async () => {
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(service.Bidi.path, same, same);
    for (const part of ['one', 'two', 'three']) {
      call.write(Buffer.from(part));
      const [echo] = await once(call, 'data');
      assert.equal(String(echo), part);
    }
    const status = once(call, 'status');
    call.end();
    assert.equal((await status)[0].code, 0);
  });

  it('a message of 3 MB arrives whole', async () => {
    const { body } = await unary('x'.repeat(3_000_000));
    assert.equal(body?.length, 3_000_000);
  });

  it('a call that the client cancels is cancelled at the server', async () => {
    const call = client.makeServerStreamRequest<Buffer, Buffer>(
      service.ServerStream.path,
      same,
      same,
      Buffer.from('wait'),
    );
    call.on('error', () => undefined);
    await once(call, 'data');
    call.cancel();
    await cancelled.promise;
  });
});
