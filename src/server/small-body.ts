import type { Readable } from 'node:stream';
import type { Millis } from '../config/units.ts';
import type { Exchange } from './exchange.ts';

/** A request body as a whole, or why there is none. */
export type SmallBody =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'too-long' }
  | { readonly kind: 'too-late' }
  // Nobody is left to answer.
  | { readonly kind: 'lost' };

/**
 * Reads the body of a request that the gateway answers itself. Never rejects; what is not read by then is left to
 * `Exchange.send`.
 *
 * @param limits.maxBytes  of the whole body
 * @param limits.timeoutMs until its last byte
 */
export function readSmallBody(
  exchange: Exchange,
  limits: { readonly maxBytes: number; readonly timeoutMs: Millis },
): Promise<SmallBody> {
  const source = sourceOf(exchange);
  if (source === undefined || source.readableEnded) return Promise.resolve({ kind: 'whole', bytes: Buffer.alloc(0) });
  if (exchange.isGone || source.destroyed) return Promise.resolve({ kind: 'lost' });
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const done = (body: SmallBody) => {
      clearTimeout(timer);
      source.off('data', onData);
      source.off('end', onEnd);
      source.off('aborted', onLost);
      source.off('close', onLost);
      resolve(body);
    };
    const onData = (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limits.maxBytes) return;
      source.pause();
      done({ kind: 'too-long' });
    };
    // A caller's reset shows itself as an end, too.
    const onEnd = () => done(exchange.isGone ? { kind: 'lost' } : { kind: 'whole', bytes: Buffer.concat(chunks) });
    const onLost = () => done({ kind: 'lost' });
    const timer = setTimeout(() => done({ kind: 'too-late' }), limits.timeoutMs);
    source.on('data', onData);
    source.once('end', onEnd);
    source.once('aborted', onLost);
    source.once('close', onLost);
    // What an error means is told by 'close'; the listener stays, or a late one would end the process.
    source.on('error', () => undefined);
  });
}

function sourceOf({ wire }: Exchange): Readable | undefined {
  switch (wire.kind) {
    case 'http1':
      return wire.request;
    case 'http2':
      return wire.stream;
    case 'upgrade':
      return undefined;
  }
}
