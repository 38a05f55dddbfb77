import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  ACK,
  DATA,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../server/raw-http2.ts';

const INITIAL_WINDOW_SIZE = 4;
const PREFACE = 24;
const FRAME = 16_384;

/**
 * One end of an HTTP/2 connection with a single stream, 1, frame by frame. It keeps to the windows that the other end
 * gives, gives none by itself, and acknowledges what has to be.
 */
export class FramePeer {
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #preface: number;
  #heard: (() => void)[] = [];
  #streamWindow = 65_535;
  #initialWindow = 65_535;
  #connectionWindow = 65_535;
  readonly #hash = createHash('sha256');
  /** Bytes of DATA that came. */
  received = 0;
  /** Heads and trailers that came. */
  heads = 0;
  isEnded = false;
  resetWith: number | undefined;

  /** @param isServer the other end speaks first */
  constructor(socket: Socket, isServer: boolean) {
    this.#socket = socket;
    this.#preface = isServer ? PREFACE : 0;
    socket.on('error', () => undefined); // the wait that it ends tells
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('close', () => this.#tell());
  }

  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  send(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** Sends a window of streams to come, and those that are open. */
  settle(initialWindow: number): void {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
    payload.writeUInt32BE(initialWindow, 2);
    this.send(frame(SETTINGS, 0, 0, payload));
  }

  /** Lets the other end send so many bytes more, on the connection or the stream. */
  grant(bytes: number, on: readonly number[] = [0, 1]): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.send(...on.map((stream) => frame(WINDOW_UPDATE, 0, stream, payload)));
  }

  /** Asks the other end for no more than stream 1. Resolves when it has closed the connection. */
  async leave(): Promise<void> {
    this.send(frame(GOAWAY, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])));
    if (!this.#socket.destroyed) await once(this.#socket, 'close');
  }

  /** Sends all of a body as the windows allow. */
  async sendBody(body: Buffer, last: 'with its last frame' | 'open'): Promise<void> {
    for (let at = 0; at < body.length; ) {
      const room = Math.min(FRAME, body.length - at, this.#streamWindow, this.#connectionWindow);
      if (room <= 0) {
        await this.news();
        continue;
      }
      const flags = at + room === body.length && last === 'with its last frame' ? END_STREAM : 0;
      this.send(frame(DATA, flags, 1, body.subarray(at, at + room)));
      this.#streamWindow -= room;
      this.#connectionWindow -= room;
      at += room;
    }
  }

  /** Resolves when it is so. @throws when the connection ends before */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.news();
  }

  /** Resolves with the next bytes that come. @throws when the connection ends instead */
  async news(): Promise<void> {
    if (!this.#socket.destroyed) await new Promise<void>((resolve) => this.#heard.push(resolve));
    if (this.#socket.destroyed) throw new Error('the connection ended');
  }

  #tell(): void {
    for (const heard of this.#heard.splice(0)) heard();
  }

  #read(chunk: Buffer): void {
    const skipped = Math.min(this.#preface, chunk.length);
    this.#preface -= skipped;
    this.#unread = Buffer.concat([this.#unread, chunk.subarray(skipped)]);
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < 9 + length) break;
      const [type, flags] = [this.#unread.readUInt8(3), this.#unread.readUInt8(4)];
      this.#take(type, flags, this.#unread.readUInt32BE(5), this.#unread.subarray(9, 9 + length));
      this.#unread = this.#unread.subarray(9 + length);
    }
    this.#tell();
  }

  #take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === DATA) {
      this.received += payload.length;
      this.#hash.update(payload);
    } else if (type === HEADERS) this.heads += 1;
    else if (type === RST_STREAM) this.resetWith = payload.readUInt32BE();
    else if (type === WINDOW_UPDATE && stream === 0) this.#connectionWindow += payload.readUInt32BE();
    else if (type === WINDOW_UPDATE) this.#streamWindow += payload.readUInt32BE();
    else if (type === PING && flags !== ACK) this.send(frame(PING, ACK, 0, payload));
    else if (type === SETTINGS && flags !== ACK) this.#obey(payload);
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.isEnded = true;
  }

  #obey(settings: Buffer): void {
    for (let at = 0; at < settings.length; at += 6) {
      if (settings.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const told = settings.readUInt32BE(at + 2);
      this.#streamWindow += told - this.#initialWindow;
      this.#initialWindow = told;
    }
    this.send(frame(SETTINGS, ACK, 0));
  }
}
