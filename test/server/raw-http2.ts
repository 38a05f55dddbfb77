import type { Address } from '../../src/config/config.ts';
import { connectRaw, type RawConnection } from './raw-connection.ts';

/** Frame types (RFC 9113 §6). */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

/** Flags. */
export const ACK = 1;
export const END_STREAM = 1;
export const END_HEADERS = 4;

/** One frame, byte for byte. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field block of literals, never indexed, without Huffman coding (RFC 7541 §6.2.3). */
export function fieldBlock(fields: ReadonlyArray<readonly [string, string]>): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0x10]), hpackString(name), hpackString(value)]));
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([hpackInteger(bytes.length, 7), bytes]);
}

/** An integer with a prefix of so many bits (RFC 7541 §5.1). */
function hpackInteger(value: number, bits: number): Buffer {
  const limit = 2 ** bits - 1;
  if (value < limit) return Buffer.from([value]);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export const plainGet = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a.test'],
  [':path', '/'],
] as const;

/** A request in one frame. */
export function requestFrame(stream: number, fields: ReadonlyArray<readonly [string, string]> = plainGet): Buffer {
  return frame(HEADERS, END_STREAM | END_HEADERS, stream, fieldBlock(fields));
}

/** Opens a connection and says what every HTTP/2 client says first. */
export async function connectFrames(address: Address, settings: Uint8Array = Buffer.alloc(0)): Promise<RawConnection> {
  const connection = await connectRaw(address);
  connection.send(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(SETTINGS, 0, 0, settings)]),
  );
  return connection;
}

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The whole frames in what a connection received. */
export function framesIn(received: string): readonly ReceivedFrame[] {
  const bytes = Buffer.from(received, 'latin1');
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    frames.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}

/** The stream ids that a client uses first. */
export function requestIds(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => 2 * i + 1);
}

/** The same bytes over and over. */
export function repeat(bytes: Uint8Array, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

/** Tells frames of one type and stream. */
export function isFor(type: number, stream: number): (frame: ReceivedFrame) => boolean {
  return (frame) => frame.type === type && frame.stream === stream;
}
