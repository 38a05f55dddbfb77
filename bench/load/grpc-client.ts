import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { type GrpcLoad, grpcHeaders, grpcMessage } from './grpc.ts';

// The load generator where h2load is not installed. argv: JSON of a GrpcLoad with `seconds`. Prints answers per second.

const load: GrpcLoad & { readonly seconds: number } = JSON.parse(process.argv[2] ?? '');
const { origin, pathname } = new URL(load.url);
const startedAt = performance.now();
const until = startedAt + load.seconds * 1000;

const sessions = Array.from({ length: load.connections }, () => connect(origin));
const counts = await Promise.all(
  sessions.flatMap((session) => Array.from({ length: load.streams }, () => keepCalling(session))),
);
const total = counts.reduce((sum, count) => sum + count, 0);
process.stdout.write(`${(total / (performance.now() - startedAt)) * 1000}\n`);
for (const session of sessions) session.close();

async function keepCalling(session: ClientHttp2Session): Promise<number> {
  let count = 0;
  for (; performance.now() < until; count++) {
    const call = session.request({ ':method': 'POST', ':path': pathname, ...grpcHeaders, ...load.headers });
    let status = '';
    let bytes = 0;
    call.on('trailers', (trailers) => {
      status = String(trailers['grpc-status']);
    });
    call.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    call.end(grpcMessage);
    await once(call, 'close');
    if (status !== '0' || bytes !== load.answerBytes)
      throw new Error(`${load.url}: grpc-status ${status} after ${bytes} bytes`);
  }
  return count;
}
