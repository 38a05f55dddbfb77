import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after } from 'node:test';
import type { Address } from '../../src/config/config.ts';

/** A TCP connection that sends exact bytes and keeps what comes back. */
export interface RawConnection {
  readonly socket: Socket;
  send(bytes: string | Uint8Array): void;
  /** All that has come so far, as latin1. */
  received(): string;
  /** Resolves as soon as the text has come. @throws {Error} when the connection ends without it */
  until(text: string): Promise<string>;
  /** Resolves with all that came, when the other side has closed the connection. */
  ended(): Promise<string>;
}

/** Opens a connection, destroyed when the suite ends. */
export async function connectRaw(address: Address): Promise<RawConnection> {
  const socket = connect({ host: address.host, port: address.port });
  const chunks: Buffer[] = [];
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined); // a reset is one of the answers that tests look for; 'close' follows
  socket.on('close', () => {
    isClosed = true;
  });
  after(() => socket.destroy());
  await once(socket, 'connect');
  const received = () => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    send: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    received,
    until: async (text) => {
      while (!received().includes(text)) {
        if (isClosed) throw new Error(`closed before "${text}" came: "${received()}"`);
        await news(socket);
      }
      return received();
    },
    ended: async () => {
      while (!isClosed) await news(socket);
      return received();
    },
  };
}

/** Sends bytes on a connection of their own; resolves with all that came back until the other side closed it. */
export async function exchangeRaw(address: Address, bytes: string | Uint8Array): Promise<string> {
  const connection = await connectRaw(address);
  connection.send(bytes);
  return connection.ended();
}

/** The status codes of the HTTP/1.1 answers in a text, in order. */
export function statusesIn(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

/** Resolves when something came or the connection is closed; a reset is no failure here. */
function news(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const told = () => {
      socket.off('data', told).off('close', told);
      resolve();
    };
    socket.on('data', told).on('close', told);
  });
}
