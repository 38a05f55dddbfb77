import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { EchoRequestSchema, EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { endLater, startFakeRig } from '../flows/rig.ts';
import { bytes, complaint, path, startConnectService } from './echo-services.ts';

let direct: string;
/** The gateway in front of the service as HTTP/1.1, and as HTTP/2 only. */
const through = { http: '', h2c: '' };
let authorization: string;

before(async () => {
  const service = await startConnectService();
  endLater(service.close);
  direct = `http://127.0.0.1:${service.port}`;
  const rig = await startFakeRig({
    upstream: direct,
    settings: {
      'upstreams.http2.url': `h2c://127.0.0.1:${service.port}`,
      routes: [
        { host: 'localhost', path: '/', upstream: 'http2' },
        { path: '/', upstream: 'control-plane' },
      ],
    },
  });
  through.http = `http://127.0.0.1:${rig.port}`;
  through.h2c = `http://localhost:${rig.port}`;
  authorization = `Bearer ${await rig.provider.accessToken()}`;
});

type Make = (options: { baseUrl: string }) => Transport;

/** Whether requests can still go on when the answer has begun. */
interface Kind {
  readonly make: Make;
  readonly isDuplex: boolean;
}

const kinds: Readonly<Record<string, Kind>> = {
  'Connect over HTTP/1.1': { make: (to) => createConnectTransport({ ...to, httpVersion: '1.1' }), isDuplex: false },
  'Connect over HTTP/1.1 by GET': {
    make: (to) => createConnectTransport({ ...to, httpVersion: '1.1', useHttpGet: true }),
    isDuplex: false,
  },
  'Connect in JSON over HTTP/1.1': {
    make: (to) => createConnectTransport({ ...to, httpVersion: '1.1', useBinaryFormat: false }),
    isDuplex: false,
  },
  'Connect over HTTP/2': { make: (to) => createConnectTransport({ ...to, httpVersion: '2' }), isDuplex: true },
  'gRPC-Web over HTTP/1.1': { make: (to) => createGrpcWebTransport({ ...to, httpVersion: '1.1' }), isDuplex: false },
  'gRPC-Web over HTTP/2': { make: (to) => createGrpcWebTransport({ ...to, httpVersion: '2' }), isDuplex: true },
  'gRPC over HTTP/2': { make: (to) => createGrpcTransport(to), isDuplex: true },
};

for (const [name, kind] of Object.entries(kinds)) {
  for (const upstream of ['http', 'h2c'] as const) {
    describe(`${name}, to a service at ${upstream}: the same directly and through the gateway`, {
      concurrency: true,
      timeout: 30_000,
    }, () => {
      const both = async (make: (transport: Transport) => Promise<unknown>) => {
        const [got, expected] = await Promise.all([
          make(kind.make({ baseUrl: through[upstream] })),
          make(kind.make({ baseUrl: direct })),
        ]);
        assert.deepEqual(got, expected);
        return expected;
      };

      const same = async (make: (transport: Transport) => Promise<unknown>) => {
        await both(make);
      };

      it('unary', () =>
        same(async (transport) => {
          const metadata = seenMetadata();
          const { text } = await createClient(EchoService, transport).unary({ text: 'ü' }, metadata.options);
          return { text, ...metadata.seen };
        }));

      it('a failure, with its details and metadata', async () => {
        const seen = await both((transport) =>
          failureOf(createClient(EchoService, transport).unary({ failWith: Code.NotFound }, options())),
        );
        assert.deepEqual(seen, { code: Code.NotFound, message: complaint, why: 'asked', details: ['a detail'] });
      });

      it('a stream from the service', () =>
        same(async (transport) => {
          const metadata = seenMetadata();
          const numbers: number[] = [];
          const answers = createClient(EchoService, transport).serverStream({ count: 20 }, metadata.options);
          for await (const { number } of answers) numbers.push(number);
          return { numbers, ...metadata.seen };
        }));

      it('a stream that fails in the end', () =>
        same(async (transport) => {
          const numbers: number[] = [];
          const request = { count: 3, failWith: Code.DataLoss };
          const answers = createClient(EchoService, transport).serverStream(request, options());
          const failure = await failureOf(
            (async () => {
              for await (const { number } of answers) numbers.push(number);
            })(),
          );
          return { numbers, failure };
        }));

      it('a stream to the service, also of nothing', () =>
        same(async (transport) => {
          const client = createClient(EchoService, transport);
          const joined = async (texts: readonly string[]) => (await client.clientStream(each(texts), options())).text;
          return [await joined(['a', 'b', 'c']), await joined([])];
        }));

      // HTTP/1.1 upstreams get a request before they may answer it, gRPC goes over HTTP/2 in any case.
      const isDuplex = kind.isDuplex && (upstream === 'h2c' || name.startsWith('gRPC over'));
      it('both ways, each answer before the next question', { skip: !isDuplex }, () =>
        same(async (transport) => {
          const heard: string[] = [];
          const turns = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
          const ask = async function* () {
            for (const [n, text] of ['one', 'two'].entries()) {
              yield { text };
              await turns[n]?.promise;
            }
          };
          for await (const { text } of createClient(EchoService, transport).bidiStream(ask(), options())) {
            heard.push(text);
            turns[heard.length - 1]?.resolve();
          }
          return heard;
        }),
      );

      it('a deadline', () =>
        same(async (transport) => {
          // Its body never ends.
          const silence = async function* () {
            await new Promise((resolve) => setTimeout(resolve, 2000).unref());
            yield* [];
          };
          const late = createClient(EchoService, transport).clientStream(silence(), { ...options(), timeoutMs: 300 });
          return (await failureOf(late)).code;
        }));
    });
  }
}

describe('buf curl hears the same directly and through the gateway', { concurrency: 2, timeout: 60_000 }, () => {
  const buf = fileURLToPath(new URL('../../node_modules/.bin/buf', import.meta.url));
  const schema = fileURLToPath(new URL('../../proto', import.meta.url));

  for (const protocol of ['grpc', 'grpcweb', 'connect'] as const) {
    it(`${protocol}, all four kinds of calls and a failure`, async () => {
      const curl = async (baseUrl: string, method: string, data: string) => {
        const args = ['curl', '--schema', schema, '--protocol', protocol, '--http2-prior-knowledge', '--data', data];
        const fields = ['--header', `authorization: ${authorization}`, '--header', 'x-meta: text'];
        const run = promisify(execFile)(buf, [...args, ...fields, `${baseUrl}${path(method)}`], { timeout: 30_000 });
        // A failed call is its exit code and its complaint.
        return run.then(
          ({ stdout }) => stdout,
          (cause: { code: number; stderr: string }) => `${cause.code} ${cause.stderr}`,
        );
      };
      const all = (baseUrl: string) =>
        Promise.all([
          curl(baseUrl, 'Unary', '{"text":"ü"}'),
          curl(baseUrl, 'Unary', '{"text":"x","failWith":5}'),
          curl(baseUrl, 'ServerStream', '{"text":"s","count":3}'),
          curl(baseUrl, 'ClientStream', '{"text":"a"}{"text":"b"}'),
          curl(baseUrl, 'BidiStream', '{"text":"a"}{"text":"b"}'),
        ]);
      const [got, expected] = [await all(through.h2c), await all(direct)];
      assert.deepEqual(got, expected);
      assert.match(expected[0], /"text":\s*"ü"/, 'the test itself works');
      assert.match(expected[1], /not_found/);
    });
  }
});

function options() {
  const encoded = Buffer.from(bytes).toString('base64').replace(/=+$/, '');
  return { headers: { authorization, 'x-meta': 'text', 'x-meta-bin': encoded } };
}

/** Options of a call that remember what came with its answer. */
function seenMetadata() {
  const seen: Record<string, unknown> = {};
  const ours = (headers: Headers) => [...headers].filter(([name]) => name.startsWith('x-'));
  return {
    seen,
    options: {
      ...options(),
      onHeader: (headers: Headers) => {
        seen['head'] = ours(headers);
      },
      onTrailer: (trailers: Headers) => {
        seen['end'] = ours(trailers);
      },
    },
  };
}

async function failureOf(call: Promise<unknown>) {
  const failure = await call.then(
    () => assert.fail('it did not fail'),
    (cause: unknown) => ConnectError.from(cause),
  );
  const { code, rawMessage: message, metadata } = failure;
  const details = failure.findDetails(EchoRequestSchema).map(({ text }) => text);
  return { code, message, why: metadata.get('x-why'), details };
}

async function* each(texts: readonly string[]) {
  for (const text of texts) yield { text };
}
