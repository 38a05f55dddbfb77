import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { endLater, startFakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';
import { bytes, complaint, path, startGrpcService, textOf, toBytes } from './echo-services.ts';

const same = (raw: Buffer) => raw;
/** How long the news of a cancelled call may take. */
const LIMIT_MS = 50;

let direct: string;
let through: string;
let authorization: string;
const watchers = new Map<string, () => void>();
/** Resolves when the service hears that the call with this text was given up. */
const cancelled = (text: string) => new Promise<void>((resolve) => watchers.set(text, resolve));

before(async () => {
  const service = await startGrpcService((text) => watchers.get(text)?.());
  endLater(service.close);
  // `http` speaks cleartext HTTP/2 with gRPC callers.
  const rig = await startFakeRig({ upstream: `http://127.0.0.1:${service.port}` });
  direct = `127.0.0.1:${service.port}`;
  through = `127.0.0.1:${rig.port}`;
  authorization = `Bearer ${await rig.provider.accessToken()}`;
});

describe('gRPC by grpc-js is the same directly and through the gateway', { concurrency: true, timeout: 30_000 }, () => {
  const clientOf = (address: string) => {
    const client = new grpc.Client(address, grpc.credentials.createInsecure());
    endLater(async () => client.close());
    return client;
  };
  const metadata = () => {
    const sent = new grpc.Metadata();
    sent.set('authorization', authorization);
    sent.set('x-meta', 'text');
    sent.add('x-meta-bin', Buffer.from(bytes));
    sent.add('x-meta-bin', Buffer.from('more'));
    return sent;
  };

  /** Everything a client can see of a call. */
  async function seen(call: grpc.Call, result?: Promise<Buffer | undefined>) {
    const events: NodeJS.EventEmitter = call;
    const texts: string[] = [];
    let head: Readonly<Record<string, unknown>> = {};
    events.on('data', (answer: Buffer) => texts.push(textOf(answer)));
    events.on('error', () => undefined); // told by the status
    events.once('metadata', (metadata: grpc.Metadata) => {
      head = shown(metadata);
    });
    const status = await new Promise<grpc.StatusObject>((resolve) => events.once('status', resolve));
    const answer = await result;
    if (answer) texts.push(textOf(answer));
    const { code, details, metadata: trailers } = status;
    return { texts, code, details, head, trailers: shown(trailers) };
  }

  const calls: Readonly<Record<string, (client: grpc.Client) => ReturnType<typeof seen>>> = {
    unary: (client) => unary(client, { text: 'one' }),
    'unary that fails': (client) => unary(client, { text: 'x', failWith: grpc.status.FAILED_PRECONDITION }),
    'a message of 3 MB': (client) => unary(client, { text: 'x'.repeat(3_000_000) }),
    'an empty message': (client) => unary(client, {}),
    'server streaming': (client) =>
      seen(
        client.makeServerStreamRequest(path('ServerStream'), same, same, toBytes({ text: 's', count: 50 }), metadata()),
      ),
    'server streaming that fails in the end': (client) => {
      const request = toBytes({ text: 's', count: 3, failWith: grpc.status.DATA_LOSS });
      return seen(client.makeServerStreamRequest(path('ServerStream'), same, same, request, metadata()));
    },
    'a stream without a message': (client) =>
      seen(client.makeServerStreamRequest(path('ServerStream'), same, same, toBytes({ text: 's' }), metadata())),
    'client streaming': (client) => clientStream(client, ['a', 'b', 'c']),
    'client streaming of nothing': (client) => clientStream(client, []),
    'both ways, and the service goes on after the client’s last word': async (client) => {
      const call = client.makeBidiStreamRequest<Buffer, Buffer>(path('BidiStream'), same, same, metadata());
      const all = seen(call);
      for (const text of ['one', 'two']) {
        call.write(toBytes({ text }));
        await once(call, 'data');
      }
      call.end();
      return all;
    },
    'a method that is not there': (client) => unary(client, {}, path('Nowhere')),
  };

  for (const [what, make] of Object.entries(calls)) {
    it(what, async () => {
      const [got, expected] = await Promise.all([make(clientOf(through)), make(clientOf(direct))]);
      assert.deepEqual(got, expected);
      if (what === 'unary that fails') {
        assert.equal(expected.details, complaint);
        assert.deepEqual(expected.trailers['grpc-status-details-bin'], Buffer.from(bytes));
      }
    });
  }

  it('a deadline ends the call', async () => {
    for (const address of [direct, through]) {
      const { promise, resolve } = Promise.withResolvers<grpc.ServiceError | null>();
      const options = { deadline: Date.now() + 300 };
      const request = toBytes({ text: 'wait' });
      clientOf(address).makeUnaryRequest(path('Unary'), same, same, request, metadata(), options, resolve);
      assert.equal((await promise)?.code, grpc.status.DEADLINE_EXCEEDED);
    }
  });

  it(`a cancelled call is cancelled at the service within ${LIMIT_MS} ms`, async () => {
    const client = clientOf(through);
    const times: number[] = [];
    for (let n = 0; n < 7; n++) {
      const text = `wait ${n}`;
      const request = toBytes({ text, count: 1 });
      const call = client.makeServerStreamRequest(path('ServerStream'), same, same, request, metadata());
      call.on('error', () => undefined); // that it was cancelled
      await once(call, 'data');
      const heard = cancelled(text);
      const from = performance.now();
      call.cancel();
      await heard;
      times.push(performance.now() - from);
    }
    const middle = times.sort((a, b) => a - b)[3] ?? Number.NaN;
    assert.ok(middle < LIMIT_MS, `it took ${middle} ms`);
  });

  function unary(client: grpc.Client, init: Parameters<typeof toBytes>[0], method = path('Unary')) {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const answered = (_error: unknown, answer?: Buffer) => resolve(answer);
    return seen(client.makeUnaryRequest(method, same, same, toBytes(init), metadata(), answered), promise);
  }

  function clientStream(client: grpc.Client, texts: readonly string[]) {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const answered = (_error: unknown, answer?: Buffer) => resolve(answer);
    const call = client.makeClientStreamRequest(path('ClientStream'), same, same, metadata(), answered);
    for (const text of texts) call.write(toBytes({ text }));
    call.end();
    return seen(call, promise);
  }
});

/** Without the date, which a service may add. */
function shown(metadata: grpc.Metadata): Readonly<Record<string, unknown>> {
  const { date: _date, ...rest } = metadata.getMap();
  return rest;
}

const core = requireProgram('grpc');

describe('gRPC by its C core is the same directly and through the gateway', {
  skip: core.skip,
  timeout: 60_000,
}, () => {
  it('all four kinds, with metadata, details of errors, a deadline and a cancellation', async () => {
    const run = async (address: string) => {
      const args = ['-c', coreClient, address, path(''), authorization];
      const { stdout } = await promisify(execFile)(core.path, args, { timeout: 30_000 });
      return JSON.parse(stdout);
    };
    const [got, expected] = await Promise.all([run(through), run(direct)]);
    assert.deepEqual(got, expected);
    assert.equal(expected.failed[0], 'NOT_FOUND', 'the test itself works');
    assert.equal(expected.late, 'DEADLINE_EXCEEDED');
  });
});

/** Bytes by hand: field 1 is the text, 2 how many answers, 3 the code to fail with. */
const coreClient = `
import grpc, json, sys, threading
target, path, authorization = sys.argv[1:4]
channel = grpc.insecure_channel(target)
sent = [('authorization', authorization), ('x-meta', 'text'), ('x-meta-bin', bytes([0, 1, 255]))]
kw = {'metadata': sent, 'timeout': 20}
ours = lambda pairs: sorted([k, v if isinstance(v, str) else list(v)] for k, v in pairs if k.startswith('x-') or k == 'grpc-status-details-bin')
text = lambda answer: answer[2:2 + answer[1]].decode()
one, three, wait = b'\\x0a\\x02hi', b'\\x0a\\x02hi\\x10\\x03', b'\\x0a\\x04wait\\x10\\x01'
answer, call = channel.unary_unary(path + 'Unary').with_call(one, **kw)
found = {'unary': text(answer), 'head': ours(call.initial_metadata()), 'end': ours(call.trailing_metadata())}
found['server'] = [text(a) for a in channel.unary_stream(path + 'ServerStream')(three, **kw)]
found['client'] = text(channel.stream_unary(path + 'ClientStream')(iter([one, one]), **kw))
found['none'] = len(channel.stream_unary(path + 'ClientStream')(iter([]), **kw))
found['bidi'] = [text(a) for a in channel.stream_stream(path + 'BidiStream')(iter([one, one]), **kw)]
try:
  channel.unary_unary(path + 'Unary')(one + b'\\x18\\x05', **kw)
except grpc.RpcError as error:
  found['failed'] = [error.code().name, error.details(), ours(error.trailing_metadata())]
try:
  channel.unary_unary(path + 'Unary')(wait, metadata=sent, timeout=0.5)
except grpc.RpcError as error:
  found['late'] = error.code().name
stream = channel.unary_stream(path + 'ServerStream')(wait, **kw)
next(stream)
stream.cancel()
found['cancelled'] = stream.code().name
print(json.dumps(found))
`;
