import { request } from 'node:http';
import { connect } from 'node:http2';

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number;
  /** Flat, with the spelling of the wire. */
  readonly fields: readonly string[];
  readonly body: string;
}

const patienceMs = 10_000;

/** Asks once over HTTP/1.1, on a connection of its own. */
export function ask(url: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers, agent: false, timeout: patienceMs }, (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, fields: response.rawHeaders, body }));
      response.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer from ${url} in time`)));
    asked.on('error', reject);
    asked.end();
  });
}

/**
 * Makes one unary gRPC call.
 *
 * @returns its `grpc-status`, and how many bytes the answer had
 */
export function callGrpc(
  url: URL,
  headers: Readonly<Record<string, string>>,
  message: Uint8Array,
): Promise<{ readonly status: string; readonly bytes: number }> {
  return new Promise((resolve, reject) => {
    const session = connect(url.origin);
    const fail = (cause: Error) => {
      session.destroy();
      reject(cause);
    };
    session.setTimeout(patienceMs, () => fail(new Error(`no answer from ${url.href} in time`)));
    session.on('error', fail);
    const stream = session.request({ ':method': 'POST', ':path': url.pathname, ...headers });
    let status = '';
    let bytes = 0;
    stream.on('response', (answer) => {
      status = String(answer['grpc-status'] ?? `HTTP ${answer[':status']}`);
    });
    stream.on('trailers', (trailers) => {
      status = String(trailers['grpc-status']);
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('error', fail);
    stream.on('end', () => {
      session.close();
      resolve({ status, bytes });
    });
    stream.end(message);
  });
}
