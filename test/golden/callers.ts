import { once } from 'node:events';
import { request as requestHttp1 } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { EchoRequestSchema } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { ask } from '../flows/ask.ts';

type Fields = Readonly<Record<string, string>>;

/** An answer as it came, head and body. */
export interface Raw {
  readonly status: number;
  /** Flat: name, value … */
  readonly fields: readonly string[];
  readonly body: Buffer;
  /** Likewise, after the body. */
  readonly trailers: readonly string[];
}

/** One kind of caller: asks as such a program does, with a credential. */
export type Call = (url: string, credential: Fields) => Promise<Raw>;

const echo = '/flytegate.demo.v1.EchoService';
const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: 'hello' }));

/** One flag byte, the length in four, the message. */
function envelope(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** Every kind of caller that the gateway tells apart, and nginx, by the name of its file. */
export const callers: Readonly<Record<string, Call>> = {
  navigation: get('/api/v1/projects?tab=1', {
    accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-site': 'none',
  }),
  xhr: get('/api/v1/projects', { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin' }),
  curl: get('/api/v1/projects', { accept: '*/*', 'user-agent': 'curl/8.5.0' }),
  grpc: callGrpc,
  'grpc-web': post('/Unary', { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' }, envelope(message)),
  // The demo's service does not speak it, the gateway's own do.
  'grpc-web-text': (url, credential) =>
    whole(`${url}/flyteidl2.auth.IdentityService/UserInfo`, {
      method: 'POST',
      fields: { 'content-type': 'application/grpc-web-text', ...credential },
      body: envelope(new Uint8Array()).toString('base64'),
    }),
  'connect-unary-proto': post(
    '/Unary',
    { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
    message,
  ),
  'connect-unary-json': post(
    '/Unary',
    { 'content-type': 'application/json', 'connect-protocol-version': '1' },
    Buffer.from('{"text":"hello"}'),
  ),
  'connect-streaming': post(
    '/ServerStream',
    { 'content-type': 'application/connect+json', 'connect-protocol-version': '1' },
    envelope(Buffer.from('{"text":"hello"}')),
  ),
  websocket: openWebSocket,
  // As nginx asks by auth_request: with all that its client sent, a gRPC client here, and no body.
  nginx: get('/me', {
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-original-method': 'POST',
    'x-original-url': 'https://flyte.example.com/flyteidl2.project.ProjectService/ListProjects',
  }),
};

function get(path: string, fields: Fields): Call {
  return (url, credential) => whole(url + path, { fields: { ...fields, ...credential } });
}

function post(method: string, fields: Fields, body: Uint8Array): Call {
  return (url, credential) =>
    whole(url + echo + method, { method: 'POST', fields: { ...fields, ...credential }, body });
}

async function whole(url: string, question: Parameters<typeof ask>[1]): Promise<Raw> {
  const { status, fields, body } = await ask(url, question);
  return { status, fields, body, trailers: [] };
}

async function callGrpc(url: string, credential: Fields): Promise<Raw> {
  const session = connectHttp2(url);
  try {
    const fields = { 'content-type': 'application/grpc+proto', te: 'trailers', ...credential };
    const stream = session.request({ ':method': 'POST', ':path': `${echo}/Unary`, ...fields });
    const trailers: string[] = [];
    stream.on('trailers', (_headers, _flags, raw: string[]) => trailers.push(...raw));
    stream.end(envelope(message));
    const [, , raw] = await once(stream, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const pairs: string[] = raw;
    return { status: Number(pairs[1]), fields: pairs.slice(2), body: Buffer.concat(chunks), trailers };
  } finally {
    session.close();
  }
}

async function openWebSocket(url: string, credential: Fields): Promise<Raw> {
  const request = requestHttp1(`${url}/api/v1/echo`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      // RFC 6455 §1.3: its own example, so that the answer is always the same.
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...credential,
    },
  });
  request.end();
  const [response] = await Promise.race([once(request, 'upgrade'), once(request, 'response')]);
  const chunks: Buffer[] = [];
  if (response.statusCode !== 101) for await (const chunk of response) chunks.push(chunk);
  response.socket.destroy();
  return { status: response.statusCode, fields: response.rawHeaders, body: Buffer.concat(chunks), trailers: [] };
}
