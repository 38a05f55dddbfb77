import type { Readable } from 'node:stream';
import type { Cut } from './cut.ts';
import { withoutRepeats } from './single-fields.ts';

/** The head of an answer on its way to the caller. */
export interface AnswerHead {
  readonly status: number;
  /** Reason phrase, latin1 as on the wire; HTTP/2 has none. */
  readonly reason?: string;
  /** Flat; already fit for the caller's protocol. */
  readonly fields: string[];
  /** Whether `Content-Length` is among them. */
  readonly hasLength: boolean;
  /** The head is all there is, and it says so: a gRPC answer of trailers only stays one (HTTP/2 END_STREAM). */
  readonly endStream: boolean;
}

/** Interim answers (1xx) that one request may get; an upstream that never comes to the point is broken. */
export const MAX_INTERIM = 32;

/** The caller's side of a forwarded request, the same for HTTP/1.1 and HTTP/2. */
export interface Downstream {
  /** Which fields the caller can take. */
  readonly hop: 'http1' | 'http2';
  /** The request body. */
  readonly body: Readable;
  /** Whether a body may follow the head, given what its fields announced. */
  hasBody(announced: boolean): boolean;
  /** Request trailers, flat, once the body has ended. */
  trailers(): readonly string[];
  /** Bytes of the answer's body so far. */
  readonly bytes: number;
  /** Passes an interim answer on (1xx); does nothing where the caller's protocol cannot carry it. */
  inform(status: number, fields: readonly string[]): void;
  /** @throws when the fields cannot be sent */
  start(head: AnswerHead): void;
  /** False when the caller has enough for now: `onDrain` says when it wants more. */
  write(chunk: Uint8Array): boolean;
  onDrain(resume: () => void): void;
  end(trailers: readonly string[]): void;
  /**
   * Ends an answer that cannot be completed so that nobody takes it for complete: in the words of its protocol where it
   * has some for this point (gRPC, gRPC-Web, Connect streaming), else by reset.
   *
   * @param reference of the request, as in the log
   */
  breakOff(why: Cut, reference: string): void;
  /** Calls back once, when the exchange is over. @param complete whether the whole answer went out */
  onClose(done: (complete: boolean) => void): void;
}

/** Flat fields as pairs. */
export function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) result.push([flat[i] ?? '', flat[i + 1] ?? '']);
  return result;
}

/** Nobody acts on a phrase: one that Node would refuse to write is left out, and the usual one stands there (RFC 9112 §4). */
export function writableReason(reason: string | undefined): string | undefined {
  return reason && /^[\t\x20-\x7e\x80-\xff]*$/.test(reason) ? reason : undefined;
}

/** Whether a final answer can have that status: other numbers are not HTTP, and Node refuses to write them. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 999;
}

/**
 * Flat fields as the object that Node's HTTP/2 takes for trailers and interim answers; repeated names keep every value.
 *
 * @param flat names in lower case
 */
export function grouped(flat: readonly string[]): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null);
  const fields = withoutRepeats(flat);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    const before = result[name];
    result[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return result;
}
