import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** One call and its answer, whatever the protocols. Texts are latin1: a character is a byte. */
export interface Exchange {
  readonly what: string;
  readonly method?: string;
  readonly target?: string;
  /** Flat. */
  readonly fields?: readonly string[];
  /** Sent piece by piece; with a Content-Length only where the fields say so. */
  readonly body?: readonly Uint8Array[];
  readonly trailers?: readonly string[];
  readonly answer: {
    readonly hints?: readonly Readonly<Record<string, string | string[]>>[];
    readonly status: number;
    readonly fields: readonly string[];
    readonly body?: readonly Uint8Array[];
    readonly trailers?: readonly string[];
  };
}

const MIB = 1 << 20;
const text = (said: string): readonly Uint8Array[] => [Buffer.from(said)];
const date = ['Date', 'Sun, 06 Nov 1994 08:49:37 GMT'] as const;
const plain = ['Content-Type', 'text/plain; charset=utf-8'] as const;
const compressed = gzipSync('compressed by the service, and by nobody else '.repeat(100));
const big = Buffer.from(Array.from({ length: 8 * MIB }, (_, i) => (i * 2654435761) >>> 24));
const many = Array.from({ length: 100 }, (_, i) => [`X-Field-${i}`, `value ${i}`]).flat();

/** What HTTP can say in a request and its answer; each is made directly and through the gateway, and compared. */
export const exchanges: readonly Exchange[] = [
  {
    what: 'GET',
    target: '/a%20b/%C3%BC;v=1?x=%2F..%2F&y=//&z',
    fields: ['Accept', 'text/*;q=0.5, */*;q=0.1', 'User-Agent', 'matrix/1.0', 'Accept-Language', 'de'],
    answer: { status: 200, fields: [...date, ...plain, 'ETag', '"1"', 'Content-Length', '5'], body: text('hello') },
  },
  {
    what: 'HEAD, with the length that GET would have',
    method: 'HEAD',
    answer: { status: 200, fields: [...date, ...plain, 'Content-Length', '123456'] },
  },
  { what: 'HEAD without a length', method: 'HEAD', answer: { status: 200, fields: [...date, ...plain] } },
  { what: 'an empty body', answer: { status: 200, fields: [...date, 'Content-Length', '0'] } },
  { what: '204', method: 'DELETE', answer: { status: 204, fields: [...date, 'X-Gone', 'yes'] } },
  {
    what: '304',
    fields: ['If-None-Match', 'W/"1", "2"', 'If-Modified-Since', 'Sun, 06 Nov 1994 08:49:37 GMT'],
    answer: { status: 304, fields: [...date, 'ETag', 'W/"1"', 'Cache-Control', 'max-age=5', 'Vary', 'Accept'] },
  },
  {
    what: 'a range',
    fields: ['Range', 'bytes=2-4', 'If-Range', '"1"'],
    answer: {
      status: 206,
      fields: [...date, 'Content-Range', 'bytes 2-4/10', 'Content-Length', '3', 'Accept-Ranges', 'bytes'],
      body: text('cde'),
    },
  },
  {
    what: 'a range that is not there',
    fields: ['Range', 'bytes=99-'],
    answer: { status: 416, fields: [...date, 'Content-Range', 'bytes */10', 'Content-Length', '0'] },
  },
  {
    what: 'a compressed body',
    fields: ['Accept-Encoding', 'gzip, br;q=0.5'],
    answer: {
      status: 200,
      fields: [...date, ...plain, 'Content-Encoding', 'gzip', 'Vary', 'Accept-Encoding'],
      body: [compressed],
    },
  },
  {
    what: 'a redirect to somewhere else',
    answer: {
      status: 307,
      fields: [...date, 'Location', 'http://elsewhere.test:81/a?b#c', 'Content-Length', '0'],
    },
  },
  {
    what: 'a 401 of the service itself',
    answer: {
      status: 401,
      fields: [...date, 'WWW-Authenticate', 'Basic realm="a, b"', 'WWW-Authenticate', 'Digest', 'Content-Length', '0'],
    },
  },
  { what: 'a status without a name', answer: { status: 499, fields: [...date], body: text('odd') } },
  {
    what: 'a 503 with Retry-After',
    answer: { status: 503, fields: [...date, 'Retry-After', '7'], body: text('later') },
  },
  { what: 'another method', method: 'PROPFIND', fields: ['Depth', '1'], answer: { status: 207, fields: [...date] } },
  {
    what: 'an upload without a length, in pieces',
    method: 'POST',
    fields: ['Content-Type', 'application/octet-stream'],
    body: ['one ', 'two ', 'three'].map((part) => Buffer.from(part)),
    answer: { status: 201, fields: [...date, 'Location', '/made/1'], body: text('made') },
  },
  {
    what: 'an upload of length 0',
    method: 'PUT',
    fields: ['Content-Length', '0'],
    body: [],
    answer: { status: 200, fields: [...date, 'Content-Length', '0'] },
  },
  {
    what: 'an upload of 8 MiB',
    method: 'PUT',
    fields: ['Content-Length', String(big.length)],
    body: [big],
    answer: { status: 200, fields: [...date], body: text('taken') },
  },
  {
    what: 'a download of 8 MiB',
    answer: { status: 200, fields: [...date, 'Content-Length', String(big.length)], body: [big] },
  },
  { what: 'a download of 8 MiB without a length', answer: { status: 200, fields: [...date], body: [big] } },
  {
    what: 'several Set-Cookie, and others that come more than once, in order',
    fields: ['X-A', '1', 'X-B', '2', 'X-A', '3', 'Cookie', 'a=1; b="2"', 'X-Empty', '', 'X-A', '1'],
    answer: {
      status: 200,
      fields: [
        ...date,
        ...['Set-Cookie', 'z=1; Path=/; HttpOnly', 'Link', '</a>; rel=next', 'Set-Cookie', 'a=2; Expires=x, y'],
        ...['Link', '</b>; rel=prev', 'X-Empty', '', 'Set-Cookie', 'z=3', 'Vary', 'a, b', 'Vary', 'c'],
      ],
    },
  },
  {
    what: 'a hundred fields',
    fields: many,
    answer: { status: 200, fields: [...date, ...many] },
  },
  {
    what: 'a value of 8 KiB',
    fields: ['X-Long', 'x'.repeat(8192)],
    answer: { status: 200, fields: [...date, 'X-Long', 'y'.repeat(8192)] },
  },
  {
    what: 'values beyond ASCII, as UTF-8 and as latin1',
    fields: ['X-Utf8', Buffer.from('Grüße 王').toString('latin1'), 'X-Latin1', 'Gr\u00fc\u00dfe'],
    answer: {
      status: 200,
      fields: [...date, 'X-Utf8', Buffer.from('王 ü').toString('latin1'), 'X-Latin1', '\u00fc\u00ff', ...plain],
    },
  },
  {
    what: 'trailers of an answer, binary values too',
    fields: ['TE', 'trailers'],
    answer: {
      status: 200,
      fields: [...date, 'Trailer', 'x-sum, x-more-bin', ...plain],
      body: text('with more to say'),
      trailers: ['x-sum', 'abc', 'x-more-bin', 'AAEC/w', 'x-more-bin', 'BA', 'x-latin1', '\u00fc'],
    },
  },
  {
    what: 'trailers of a request, binary values too',
    method: 'POST',
    fields: ['Trailer', 'x-sum, x-more-bin'],
    body: text('with more to say'),
    trailers: ['x-sum', 'abc', 'x-more-bin', 'AAEC/w', 'x-more-bin', 'BA', 'x-latin1', '\u00fc'],
    answer: { status: 200, fields: [...date] },
  },
  {
    what: 'an upload that is nothing but trailers',
    method: 'POST',
    body: [],
    trailers: ['x-sum', 'abc'],
    answer: { status: 200, fields: [...date] },
  },
  {
    what: 'gRPC-Web as text, with its deadline',
    method: 'POST',
    target: '/a.B/C',
    fields: ['Content-Type', 'application/grpc-web-text+proto', 'X-Grpc-Web', '1', 'Grpc-Timeout', '12S'],
    body: text(Buffer.from([0, 0, 0, 0, 2, 8, 1]).toString('base64')),
    answer: {
      status: 200,
      fields: [...date, 'Content-Type', 'application/grpc-web-text+proto'],
      body: [
        ...text(Buffer.from([0, 0, 0, 0, 2, 8, 2]).toString('base64')),
        ...text(Buffer.from('\x80\0\0\0\x10grpc-status: 0\r\n', 'latin1').toString('base64')),
      ],
    },
  },
  {
    what: 'a Connect call by GET',
    target: '/a.B/C?connect=v1&encoding=proto&base64=1&message=CAE%3D&compression=identity',
    fields: ['Connect-Protocol-Version', '1', 'Connect-Timeout-Ms', '12000'],
    answer: { status: 200, fields: [...date, 'Content-Type', 'application/proto'], body: [Buffer.from([8, 2])] },
  },
  {
    what: '103 Early Hints, as often as they are sent',
    answer: {
      hints: [{ link: '</a.css>; rel=preload; as=style', 'x-hint': '1' }, { link: '</b.js>; rel=preload; as=script' }],
      status: 200,
      fields: [...date, ...plain],
      body: text('page'),
    },
  },
  {
    what: 'what a tracing system adds',
    fields: ['Traceparent', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'Tracestate', 'x=1,y=2', 'Baggage', 'k=v'],
    answer: { status: 200, fields: [...date] },
  },
];

export function digestOf(body: Uint8Array): string {
  return `${body.length} bytes, ${createHash('sha256').update(body).digest('hex').slice(0, 16)}`;
}
