import { once } from 'node:events';
import { connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { grpcHeaders, grpcMessage } from './grpc.ts';

/** What is opened, and then left alone until SIGTERM. */
export interface IdleLoad {
  readonly kind: 'streams' | 'sockets';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly count: number;
  /** Streams on one connection. */
  readonly perConnection: number;
}

/** Opened at once, so that no queue on the way runs over. */
const atOnce = 50;

// argv: JSON of an IdleLoad. Says `open` when each of them has brought its first byte.

const load: IdleLoad = JSON.parse(process.argv[2] ?? '');
const { origin, pathname, hostname, port } = new URL(load.url);

process.once('SIGTERM', () => process.exit(0));
await (load.kind === 'streams' ? openStreams() : openSockets());
process.stdout.write('open\n');

async function openStreams(): Promise<void> {
  for (let open = 0; open < load.count; open += load.perConnection) {
    const session = connect(origin);
    const count = Math.min(load.perConnection, load.count - open);
    await Promise.all(Array.from({ length: count }, () => openStream(session)));
  }
}

async function openStream(session: ReturnType<typeof connect>): Promise<void> {
  const call = session.request({ ':method': 'POST', ':path': pathname, ...grpcHeaders, ...load.headers });
  call.end(grpcMessage);
  const [answer] = await once(call, 'response');
  if (answer[':status'] !== 200 || answer['grpc-status'] !== undefined) {
    throw new Error(`${load.url}: HTTP ${answer[':status']}, grpc-status ${answer['grpc-status']}`);
  }
  await once(call, 'data');
}

async function openSockets(): Promise<void> {
  const fields = { Host: `${hostname}:${port}`, Connection: 'Upgrade', Upgrade: 'websocket', ...load.headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `GET ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`;
  for (let open = 0; open < load.count; open += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, load.count - open) }, () => openSocket(head)));
  }
}

async function openSocket(head: string): Promise<void> {
  const socket = connectTcp(Number(port), hostname);
  socket.write(head);
  let answer = '';
  while (!answer.endsWith('\r\n\r\n.')) {
    const [chunk] = await once(socket, 'data');
    answer += String(chunk);
    if (!'HTTP/1.1 101 '.startsWith(answer.slice(0, 13))) throw new Error(`${load.url}: ${answer}`);
  }
}
