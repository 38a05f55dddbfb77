import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { request as requestHttps } from 'node:https';
import type { Readable, Writable } from 'node:stream';
import { testCertificate } from '../server/test-certificate.ts';
import { grouped } from './upstream.ts';

export type Protocol = 'HTTP/1.1' | 'HTTP/1.1 over TLS' | 'h2c' | 'h2';

/** What a client sends; texts are latin1: a character is a byte. */
export interface Question {
  readonly method: string;
  readonly target: string;
  /** Of the Host field, or `:authority`. */
  readonly authority: string;
  /** Flat, in lower or any case. */
  readonly fields: readonly string[];
  /** Without one the request ends with its head. */
  readonly hasBody: boolean;
  readonly trailers?: readonly string[];
}

/** A request under way. */
export interface Call {
  /** The request's body; its end sends the trailers. */
  readonly body: Writable;
  /** Interim answers so far: status and flat fields. */
  readonly interim: readonly (readonly [number, readonly string[]])[];
  /** Resolves with the first 100 Continue. */
  readonly continued: Promise<void>;
  /** The head of the answer. Rejects when none comes. */
  readonly head: Promise<Head>;
  /** Resolves when the call has come to an end, with whether it was a regular one. */
  readonly ended: Promise<boolean>;
  /** What a client does who has no use for the answer any more: a reset of the stream, or of the connection. */
  cancel(): void;
  /** The same, saying that nothing is wrong, where that can be said. */
  leave(): void;
}

export interface Head {
  readonly status: number;
  /** HTTP/1.1 only. */
  readonly reason: string;
  /** Flat, in the order of the wire. */
  readonly fields: readonly string[];
  readonly body: Readable;
  /** Flat; whole once the body has ended. */
  trailers(): readonly string[];
}

export interface Caller {
  open(question: Question): Call;
  close(): void;
}

/** A client of one protocol and one port of 127.0.0.1: HTTP/2 on one connection, HTTP/1.1 on one for each call. */
export function createCaller(protocol: Protocol, port: number): Caller {
  const tls = { ca: testCertificate.cert };
  switch (protocol) {
    case 'HTTP/1.1':
    case 'HTTP/1.1 over TLS':
      return { open: (question) => call1(protocol, port, question), close: () => undefined };
    case 'h2c':
      return over2(connect(`http://127.0.0.1:${port}`));
    case 'h2':
      return over2(connect(`https://127.0.0.1:${port}`, tls));
  }
}

/**
 * The same with a connection for each call. Two ends of Node's HTTP/2 on one connection can wait for each other for ever:
 * neither reads while its own writes wait, and what a kernel that is short of memory takes is not enough for both ways.
 */
export function createFreshCaller(protocol: Protocol, port: number): Caller {
  const all = new Set<Caller>();
  return {
    open: (question) => {
      const caller = createCaller(protocol, port);
      all.add(caller);
      const call = caller.open(question);
      call.ended.then(() => {
        all.delete(caller);
        caller.close();
      });
      return call;
    },
    close: () => {
      for (const caller of all) caller.close();
    },
  };
}

function call1(protocol: 'HTTP/1.1' | 'HTTP/1.1 over TLS', port: number, question: Question): Call {
  const { method, target: path, authority, fields } = question;
  const options = { host: '127.0.0.1', port, method, path, agent: false, headers: ['Host', authority, ...fields] };
  const request =
    protocol === 'HTTP/1.1' ? requestHttp(options) : requestHttps({ ...options, ca: testCertificate.cert });
  const interim: [number, readonly string[]][] = [];
  request.on('information', ({ statusCode, rawHeaders }) => interim.push([statusCode, rawHeaders]));
  const continued = new Promise<void>((resolve) => request.once('continue', resolve));
  const head = new Promise<Head>((resolve, reject) => {
    request.once('response', (response) => resolve(headOf(response)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('closed without an answer')));
  });
  head.catch(() => undefined); // told by `ended` as well
  const cancel = () => void request.destroy();
  if (question.trailers) request.addTrailers(pairs(question.trailers));
  if (question.hasBody) request.flushHeaders();
  else request.end();
  return { body: request, interim, continued, head, ended: endOf1(request), cancel, leave: cancel };
}

function headOf(response: IncomingMessage): Head {
  response.on('error', () => undefined); // told by `ended`
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    fields: response.rawHeaders,
    body: response,
    trailers: () => response.rawTrailers,
  };
}

function endOf1(request: ClientRequest): Promise<boolean> {
  return new Promise((resolve) => {
    let response: IncomingMessage | undefined;
    request.on('error', () => undefined); // 'close' follows
    request.once('response', (begun) => {
      response = begun;
      begun.once('close', () => resolve(begun.complete));
    });
    request.once('close', () => response === undefined && resolve(false));
  });
}

function over2(session: ClientHttp2Session): Caller {
  session.on('error', () => undefined); // the calls tell
  return { open: (question) => call2(session, question), close: () => session.destroy() };
}

function call2(session: ClientHttp2Session, question: Question): Call {
  const { method, target, authority, fields, hasBody, trailers } = question;
  const scheme = session.encrypted ? 'https' : 'http';
  const pseudo = [':method', method, ':scheme', scheme, ':authority', authority, ':path', target];
  const lower = fields.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part));
  const waitForTrailers = trailers !== undefined;
  const stream = session.request([...pseudo, ...lower], { endStream: !hasBody, waitForTrailers });
  stream.on('error', () => undefined); // told by `ended`
  if (trailers) stream.once('wantTrailers', () => stream.sendTrailers(grouped(trailers)));
  const interim: [number, readonly string[]][] = [];
  stream.on('headers', (headers: IncomingHttpHeaders, _flags: number, raw: string[]) =>
    interim.push([Number(headers[':status']), raw.slice(2)]),
  );
  const continued = new Promise<void>((resolve) => stream.once('continue', resolve));
  let received: readonly string[] = [];
  stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    received = raw;
  });
  let isWhole = false;
  stream.once('end', () => {
    isWhole = true;
  });
  const head = new Promise<Head>((resolve, reject) => {
    stream.once('response', (headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      const answered = raw.filter((_, i) => !raw[i - (i % 2)]?.startsWith(':'));
      const status = Number(headers[':status']);
      resolve({ status, reason: '', fields: answered, body: stream, trailers: () => received });
    });
    stream.once('close', () => reject(new Error(`closed with ${stream.rstCode}`)));
  });
  head.catch(() => undefined); // told by `ended` as well
  const ended = new Promise<boolean>((resolve) => {
    stream.once('close', () => resolve(isWhole && stream.rstCode === 0));
  });
  return {
    body: stream,
    interim,
    continued,
    head,
    ended,
    cancel: () => stream.close(8 /* CANCEL */),
    leave: () => stream.close(0 /* NO_ERROR */),
  };
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] satisfies [string, string]] : []));
}
