import { type ClientHttp2Session, type ClientHttp2Stream, type ClientSessionOptions, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';
import type { Log } from '../observe/log.ts';
import { onSilence } from '../server/on-silence.ts';
import type { Health } from './health.ts';
import { type Liveness, watchLiveness } from './http2-liveness.ts';
import type { Share } from './share.ts';
import { saysNothingOfThem, UpstreamError } from './upstream-failure.ts';

/** To one address. */
const MAX_SESSIONS = 64;
/** What a peer is taken to allow until its SETTINGS arrive (RFC 9113 §6.5.2 recommends no less). */
const STREAMS_UNTIL_TOLD = 100;
/** Whatever a peer allows: some give up a connection that holds some thousands, and what one loses should stay bounded. */
const MOST_STREAMS = 1000;

/** How long a peer may take to close after we did: it holds a place until then. */
const GOODBYE_MS: Millis = 1000;

/** HTTP/2 connections to one address: as many as its limit on concurrent streams makes necessary. */
export interface Http2Sessions {
  /** A session with room for a stream, opened if need be; undefined when every one that may be opened is full. */
  find(): Session | undefined;
  /** How many streams there may be at once, as far as the peer's limit is known. */
  capacity(): number;
  /** Takes no more streams; settles when those under way have ended. */
  retire(): Promise<void>;
  /** Ends all sessions and their streams at once. */
  close(): void;
}

export interface SessionNeeds extends Liveness {
  readonly origin: string;
  readonly open: () => Socket;
  readonly idleTimeoutMs: Millis;
  /** Bytes of one stream that may be on their way to us unread. */
  readonly streamWindow: number;
  /** Connections to all addresses together. */
  readonly places: Share;
  readonly health: Health;
  /** Counts the requests under way. */
  readonly load: { inFlight: number };
  readonly name: string;
  readonly log: Log;
}

export function createHttp2Sessions(needs: SessionNeeds): Http2Sessions {
  const sessions = new Set<Session>();
  /** They finish what they carry. */
  const leaving = new Set<Session>();

  const open = (): Session | undefined => {
    const giveBack = sessions.size < MAX_SESSIONS ? needs.places.take() : undefined;
    if (giveBack === undefined) return undefined;
    const session = new Session(needs, () => {
      sessions.delete(session);
      leaving.add(session);
    });
    void session.closed.then(() => {
      leaving.delete(session);
      giveBack();
      const { error } = session;
      needs.log.debug('upstream.session_ended', { upstream: needs.name, ...(error && { cause: error }) });
    });
    sessions.add(session);
    return session;
  };

  return {
    find: () => {
      for (const session of sessions) if (session.hasRoom()) return session;
      return open();
    },
    capacity: () => {
      let each = sessions.size === 0 ? STREAMS_UNTIL_TOLD : Number.POSITIVE_INFINITY;
      for (const session of sessions) each = Math.min(each, session.allowed);
      return each * MAX_SESSIONS;
    },
    retire: async () => {
      for (const session of [...sessions]) session.retire();
      await Promise.all([...leaving].map(({ closed }) => closed));
    },
    close: () => {
      for (const session of [...sessions, ...leaving]) session.destroy();
    },
  };
}

/** One HTTP/2 connection. */
export class Session {
  readonly #http2: ClientHttp2Session;
  readonly #needs: SessionNeeds;
  readonly #onLeave: () => void;
  readonly closed: Promise<void>;
  #streams = 0;
  /** Concurrent streams. */
  allowed = STREAMS_UNTIL_TOLD;
  /** An answer began on one of its streams. */
  #isAnswered = false;
  #isLeaving = false;
  #isLost = false;
  /** Whether the connection stood at some time. */
  isConnected = false;
  /** Why it ended, as far as is known. */
  error: Error | undefined;

  /** @param onLeave called once, when no more streams may be opened */
  constructor(needs: SessionNeeds, onLeave: () => void) {
    this.#needs = needs;
    this.#onLeave = onLeave;
    const socket = needs.open();
    const options: ClientSessionOptions & { strictSingleValueFields: boolean } = {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: needs.streamWindow },
      maxSendHeaderBlockLength: 262_144,
      maxHeaderListPairs: 512,
      // What a caller says twice goes on as it came; Node would refuse to send it. (Its types know the option of servers only.)
      strictSingleValueFields: false,
    };
    const http2 = connect(needs.origin, options);
    this.#http2 = http2;
    http2.once('connect', () => {
      this.isConnected = true;
      watchLiveness(http2, socket, { ...needs, isBusy: () => this.#streams > 0 });
    });
    http2.on('remoteSettings', ({ maxConcurrentStreams = MOST_STREAMS }) => {
      this.allowed = Math.min(maxConcurrentStreams, MOST_STREAMS);
    });
    http2.on('error', (error) => {
      this.error = error;
      this.#lose();
    });
    // Streams below the last one that GOAWAY names run on; new ones need a new session.
    http2.once('goaway', () => this.#leave());
    socket.once('finish', () => closeAfter(socket, GOODBYE_MS));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    http2.once('close', () => {
      this.#lose();
      resolve();
    });
    onSilence(http2, needs.idleTimeoutMs, () => {
      if (this.#streams === 0) this.retire();
    });
  }

  /** The connection is gone: no stream on it comes to a regular end any more. */
  get isLost(): boolean {
    return this.#isLost || this.#http2.destroyed;
  }

  hasRoom(): boolean {
    if (this.#isLeaving || this.#http2.closed || this.#http2.destroyed) return false;
    return this.#streams < this.allowed;
  }

  /**
   * @param fields flat, pseudo-headers first
   * @throws when the session ended this very moment
   */
  request(fields: readonly string[], endStream: boolean): ClientHttp2Stream {
    const stream = this.#http2.request(fields, { endStream, waitForTrailers: !endStream });
    const { load } = this.#needs;
    this.#streams += 1;
    load.inFlight += 1;
    stream.once('close', () => {
      this.#streams -= 1;
      load.inFlight -= 1;
    });
    return stream;
  }

  /** An answer began on one of its streams. */
  answered(): void {
    this.#isAnswered = true;
    this.#needs.health.answered();
  }

  /** Takes no more streams, and closes with the last one. */
  retire(): void {
    this.#leave();
    // Closed before it stands, it would take the streams along that wait for that; and GOAWAY overtakes a request that was
    // handed over in the same turn, which is then refused.
    const close = () => setImmediate(() => this.#http2.close());
    if (this.isConnected || this.isLost) close();
    else this.#http2.once('connect', close);
  }

  destroy(): void {
    this.#leave();
    this.#http2.destroy();
  }

  #leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#onLeave();
  }

  /** What the end of the connection says of the address; nothing when it was ours to end, or came after GOAWAY. */
  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const { health } = this.#needs;
    const cause = this.error ?? new Error('the connection closed');
    if (!this.#isLeaving && !saysNothingOfThem(cause)) {
      if (!this.isConnected || this.error instanceof UpstreamError) health.unreachable(cause);
      else if (!this.#isAnswered) health.cut(cause);
    }
    this.#leave();
  }
}

function closeAfter(socket: Socket, ms: Millis): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
