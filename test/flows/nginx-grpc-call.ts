import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';

/**
 * One gRPC call with an empty message over cleartext HTTP/2, with exactly this path.
 *
 * @returns the head of the answer
 */
export async function callOverHttp2(
  url: string,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<IncomingHttpHeaders> {
  const session = connect(url);
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ...head, ...fields });
  try {
    const answered = once(stream, 'response');
    stream.end(Buffer.alloc(5));
    const [answer] = await answered;
    return answer;
  } finally {
    session.destroy();
  }
}
