import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type Front, type FrontNeeds, listen } from './front.ts';
import { createStage } from './stage.ts';

export interface Http2Stage {
  startUpstream(onStream: OnStream, settings?: { maxConcurrentStreams?: number }): Promise<Upstream>;
  /** A door to an h2c upstream. */
  front(needs: FrontNeeds): Promise<Front>;
  caller(door: Front): ClientHttp2Session;
  close(): Promise<void>;
}

export type OnStream = (stream: ServerHttp2Stream, raw: string[], session: number) => void;

export interface Upstream {
  readonly port: number;
  readonly sessions: readonly ServerHttp2Session[];
  readonly server: Http2Server;
}

/** HTTP/2 upstreams, doors and callers that end together with the tests that used them. */
export function createHttp2Stage(): Http2Stage {
  const stage = createStage();
  return {
    startUpstream: async (onStream, settings = {}) => {
      const upstream = await startUpstream(onStream, settings);
      stage.onClose(() => {
        upstream.server.close();
        for (const session of upstream.sessions) session.destroy();
      });
      return upstream;
    },
    front: (needs) => stage.front({ ...needs, upstream: { protocol: 'h2c', ...needs.upstream } }),
    caller: (door) => {
      const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
      stage.onClose(() => session.destroy());
      return session;
    },
    close: stage.close,
  };
}

async function startUpstream(onStream: OnStream, settings: { maxConcurrentStreams?: number }): Promise<Upstream> {
  const sessions: ServerHttp2Session[] = [];
  const server = createServer({ settings });
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, _headers, _flags, raw) => {
    stream.on('error', () => undefined);
    onStream(stream, raw, sessions.indexOf(stream.session as ServerHttp2Session));
  });
  return { port: await listen(server), sessions, server };
}

/** Headers of a gRPC call. */
export const grpc = { ':method': 'POST', ':path': '/s/M', 'content-type': 'application/grpc+proto', te: 'trailers' };

export async function bodyOf(stream: ClientHttp2Stream): Promise<string> {
  let body = '';
  for await (const part of stream) body += part;
  return body;
}
