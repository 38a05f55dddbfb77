import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';

/** Opens a connection of a well-behaved HTTP/2 client, closed when the test ends. */
export function openSession(port: number, scheme: 'http' | 'https' = 'http'): ClientHttp2Session {
  const session = connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  // The port is closed first when the test ends, which may reset the connection.
  session.on('error', () => undefined);
  after(() => session.destroy());
  return session;
}

/** Sends a request without a body; resolves with its whole answer. */
export async function ask(
  session: ClientHttp2Session,
  fields: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const stream = session.request({ ':path': '/', ...fields });
  const [headers] = await once(stream, 'response');
  return { status: Number(headers[':status']), body: await text(stream) };
}

/** Resolves with the code that a stream is closed with (RFC 9113 §7). */
export function closeCode(stream: ClientHttp2Stream): Promise<number> {
  stream.on('error', () => undefined); // the reset whose code is returned
  return new Promise((resolve) => {
    stream.once('close', () => resolve(stream.rstCode ?? 0));
  });
}

/** Asks on a connection of its own: another caller, who must not notice anything. The handler has to be `answerTarget`. */
export async function assertOthersAreServed(address: { readonly port: number }): Promise<void> {
  const session = openSession(address.port);
  assert.equal((await ask(session, { ':path': '/others' })).body, 'GET /others');
  session.destroy();
}
