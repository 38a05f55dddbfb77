import { type ClientHttp2Session, type ClientHttp2Stream, type ClientSessionOptions, connect } from 'node:http2';
import type { Log } from '../observe/log.ts';
import type { Dial } from './dial.ts';
import { UpstreamError } from './upstream-failure.ts';

const MAX_SESSIONS = 64;
/** What a peer is taken to allow until its SETTINGS arrive (RFC 9113 §6.5.2 recommends no less). */
const STREAMS_UNTIL_TOLD = 100;
const IDLE_MS = 300_000;

/** HTTP/2 connections to one upstream: as many as its limit on concurrent streams makes necessary. */
export interface Http2Sessions {
  /**
   * Opens a stream on a session that has room for it, connecting if need be.
   *
   * @param fields flat, pseudo-headers first
   * @throws {UpstreamError} when every session that may be opened is full
   */
  request(fields: readonly string[], endStream: boolean): SessionStream;
  /** How many streams there may be at once, as far as the peer's limit is known. */
  capacity(): number;
  /** Ends all sessions and their streams at once. */
  close(): void;
}

export interface SessionStream {
  readonly stream: ClientHttp2Stream;
  /** Whether the session's connection stood at some time, and why the session ended, as far as is known. */
  readonly session: { readonly isConnected: boolean; readonly error: Error | undefined };
}

export function createHttp2Sessions(needs: {
  origin: string;
  dial: Dial;
  name: string;
  log: Log;
  streamWindow: number;
}): Http2Sessions {
  const sessions = new Set<Session>();

  const open = (): Session => {
    if (sessions.size >= MAX_SESSIONS) {
      throw new UpstreamError('upstream_unreachable', `all ${MAX_SESSIONS} HTTP/2 sessions are full`);
    }
    const session = new Session(needs, () => {
      sessions.delete(session);
      needs.log.debug('upstream.session_ended', {
        upstream: needs.name,
        ...(session.error && { cause: session.error }),
      });
    });
    sessions.add(session);
    return session;
  };

  return {
    request: (fields, endStream) => {
      let session: Session | undefined;
      for (const candidate of sessions) {
        if (!candidate.hasRoom()) continue;
        session = candidate;
        break;
      }
      return (session ?? open()).request(fields, endStream);
    },
    capacity: () => {
      let each = sessions.size === 0 ? STREAMS_UNTIL_TOLD : Number.POSITIVE_INFINITY;
      for (const session of sessions) each = Math.min(each, session.allowed);
      return each * MAX_SESSIONS;
    },
    close: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

class Session {
  readonly #http2: ClientHttp2Session;
  #streams = 0;
  #isLeaving = false;
  isConnected = false;
  error: Error | undefined;

  /** @param onLeave called once, when no more streams may be opened */
  constructor(
    { origin, dial, streamWindow }: { origin: string; dial: Dial; streamWindow: number },
    onLeave: () => void,
  ) {
    const options: ClientSessionOptions & { strictSingleValueFields: boolean } = {
      createConnection: () => dial.open('h2'),
      settings: { enablePush: false, initialWindowSize: streamWindow },
      maxSendHeaderBlockLength: 262_144,
      maxHeaderListPairs: 512,
      // What a caller says twice goes on as it came; Node would refuse to send it. (Its types know the option of servers only.)
      strictSingleValueFields: false,
    };
    const http2 = connect(origin, options);
    this.#http2 = http2;
    const leave = () => {
      if (this.#isLeaving) return;
      this.#isLeaving = true;
      onLeave();
    };
    http2.once('connect', () => {
      this.isConnected = true;
    });
    http2.on('error', (error) => {
      this.error = error;
      leave();
    });
    // Streams below the last one that GOAWAY names run on; new ones need a new session.
    http2.once('goaway', leave);
    http2.once('close', leave);
    http2.setTimeout(IDLE_MS, () => {
      if (this.#streams > 0) return;
      leave();
      http2.close();
    });
  }

  /** Concurrent streams. */
  get allowed(): number {
    if (!this.isConnected || this.#http2.destroyed) return STREAMS_UNTIL_TOLD;
    return this.#http2.remoteSettings.maxConcurrentStreams ?? STREAMS_UNTIL_TOLD;
  }

  hasRoom(): boolean {
    if (this.#isLeaving || this.#http2.closed || this.#http2.destroyed) return false;
    return this.#streams < this.allowed;
  }

  request(fields: readonly string[], endStream: boolean): SessionStream {
    const stream = this.#http2.request(fields, { endStream, waitForTrailers: !endStream });
    this.#streams += 1;
    stream.once('close', () => {
      this.#streams -= 1;
    });
    return { stream, session: this };
  }

  destroy(): void {
    this.#http2.destroy();
  }
}
