import { type Cut, statusOf } from './cut.ts';
import { type Envelopes, followEnvelopes, followEnvelopesInBase64 } from './envelopes.ts';

/** Bytes that complete a body, and the trailers after it. */
export interface LastWords {
  readonly body: Uint8Array | undefined;
  /** Flat, in lower case. */
  readonly trailers: readonly string[];
}

/** An answer that knows a way to say that it was cut short. */
export interface Following {
  /** Takes note of bytes of the body as they go to the caller. */
  pass(chunk: Uint8Array): void;
  /**
   * What to say at this point; undefined when nothing can be said here that the caller would not take for a part of a
   * message: then only a reset is honest.
   *
   * @param reference of the request, as in the log
   */
  lastWords(why: Cut, reference: string): LastWords | undefined;
}

/**
 * Follows an answer whose protocol has words for an end in the middle; undefined for all others.
 *
 * The answer's own `Content-Type` decides: gRPC ends by trailers wherever it stands, gRPC-Web and Connect streaming by one
 * more envelope between two others. Not one that announces its length, or is compressed as a whole: there is no room in it.
 *
 * @param fields      flat, in any case
 * @param hasTrailers whether the caller's protocol has trailers that RPC clients read: HTTP/2
 * @see Connect protocol, "Error End-Stream"; gRPC-Web protocol, "Trailers"
 */
export function followAnswer(fields: readonly string[], hasTrailers: boolean): Following | undefined {
  let type = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    // Most names have another length, and need no closer look.
    if (name.length === 12 && name.toLowerCase() === 'content-type') type = fields[i + 1] ?? '';
    else if (name.length === 14 && name.toLowerCase() === 'content-length') return undefined;
    else if (name.length === 16 && name.toLowerCase() === 'content-encoding') return undefined;
  }
  return type.length < 16 ? undefined : followType(type, hasTrailers);
}

const rpcType = /^application\/(grpc(?:-web(?:-text)?)?|connect(?=\+))(?=$|[+;\s])/i;

function followType(type: string, hasTrailers: boolean): Following | undefined {
  switch (rpcType.exec(type)?.[1]?.toLowerCase()) {
    case 'grpc':
      return hasTrailers ? grpc : undefined;
    case 'grpc-web':
      return new Enveloped(followEnvelopes(0x80), (why, reference) => trailerFrame(why, reference));
    case 'grpc-web-text':
      return new Enveloped(followEnvelopesInBase64(0x80), (why, reference) =>
        Buffer.from(trailerFrame(why, reference).toString('base64'), 'latin1'),
      );
    case 'connect':
      return new Enveloped(followEnvelopes(0x02), endStream);
    default:
      return undefined;
  }
}

const grpc: Following = {
  pass: () => undefined,
  lastWords: (why, reference) => ({ body: undefined, trailers: grpcStatus(why, reference) }),
};

class Enveloped implements Following {
  readonly #envelopes: Envelopes;
  readonly #say: (why: Cut, reference: string) => Buffer;

  constructor(envelopes: Envelopes, say: (why: Cut, reference: string) => Buffer) {
    this.#envelopes = envelopes;
    this.#say = say;
  }

  pass(chunk: Uint8Array): void {
    this.#envelopes.pass(chunk);
  }

  lastWords(why: Cut, reference: string): LastWords | undefined {
    return this.#envelopes.place === 'between' ? { body: this.#say(why, reference), trailers: [] } : undefined;
  }
}

function grpcStatus(why: Cut, reference: string): readonly string[] {
  const { number, message } = statusOf(why);
  // Printable ASCII without a percent sign: nothing to encode (gRPC over HTTP/2, "Status-Message").
  return ['grpc-status', String(number), 'grpc-message', `${message} (reference ${reference})`];
}

function trailerFrame(why: Cut, reference: string): Buffer {
  const [status, number, message, words] = grpcStatus(why, reference);
  return envelope(0x80, `${status}: ${number}\r\n${message}: ${words}\r\n`);
}

function endStream(why: Cut, reference: string): Buffer {
  const { name, message } = statusOf(why);
  return envelope(0x02, JSON.stringify({ error: { code: name, message, reference } }));
}

function envelope(flags: number, payload: string): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
