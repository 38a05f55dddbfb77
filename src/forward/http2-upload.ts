import type { ClientHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Contain } from '../server/contain.ts';

/** What is kept of a request body until the answer begins, in case the upstream refuses the stream unprocessed. */
const REPLAY_BYTES = 65_536;

/** Whose body it is. */
export interface UploadOwner {
  /** Told when a stream got the whole body. */
  sent(): void;
  /** Told when the body is over its limit: more is not passed on. */
  tooLarge(maxBytes: number): void;
  /** Told of a mistake of ours. */
  crash(): void;
}

const UPLOAD = Symbol('upload');

/** The caller's stream and the upstream's, with what passes between them until it has passed. */
type Body = Readable & { [UPLOAD]?: Http2Upload | undefined };
type Target = ClientHttp2Stream & { [UPLOAD]?: Http2Upload | undefined };

/** The same functions for every upload. */
export interface UploadListeners {
  readonly data: (this: Body, chunk: Buffer) => void;
  readonly end: (this: Body) => void;
  readonly ready: (this: Target) => void;
  readonly drain: (this: Target) => void;
}

export function createUploadListeners(contain: Contain): UploadListeners {
  const data = contain(
    (upload: Http2Upload, chunk: Buffer) => upload.send(chunk),
    (upload) => upload.owner.crash(),
  );
  const end = contain(
    (upload: Http2Upload) => upload.ended(),
    (upload) => upload.owner.crash(),
  );
  const ready = contain(
    (upload: Http2Upload, up: Target) => upload.begin(up),
    (upload) => upload.owner.crash(),
  );
  return {
    data(chunk) {
      const upload = this[UPLOAD];
      if (upload !== undefined) data(upload, chunk);
    },
    end() {
      const upload = this[UPLOAD];
      if (upload !== undefined) end(upload);
    },
    ready() {
      const upload = this[UPLOAD];
      if (upload !== undefined) ready(upload, this);
    },
    drain() {
      this[UPLOAD]?.drained(this);
    },
  };
}

// Told by the caller's 'close'; without a listener it would end the process.
const unheard = () => undefined;

/**
 * A request body on its way to an HTTP/2 upstream. Nothing of it is taken from the caller before the connection stands, and
 * as long as it is small it can be sent again.
 */
export class Http2Upload {
  readonly owner: UploadOwner;
  readonly #body: Body;
  readonly #listeners: UploadListeners;
  readonly #maxBytes: number | undefined;
  #up: Target | undefined;
  /** All of it so far; undefined when it cannot be sent again. */
  #sent: Buffer[] | undefined = [];
  #bytes = 0;
  #isTaken = false;
  #isEnded = false;

  /** @param maxBytes more is not passed on; undefined without a limit */
  constructor(body: Readable, owner: UploadOwner, listeners: UploadListeners, maxBytes: number | undefined) {
    this.#body = body;
    this.owner = owner;
    this.#listeners = listeners;
    this.#maxBytes = maxBytes;
  }

  /** Whether another stream could still get it from its beginning. */
  get isRepeatable(): boolean {
    return this.#sent !== undefined;
  }

  sendTo(up: Target): void {
    // Until it stands, what came would have nowhere to go, and be more than is kept.
    this.#up = undefined;
    this.#body.pause();
    up[UPLOAD] = this;
    if (up.pending) up.on('ready', this.#listeners.ready);
    else this.#listeners.ready.call(up);
  }

  /** It will not be sent again. */
  forget(): void {
    this.#sent = undefined;
  }

  /** Nobody takes it any more: what still comes is dropped, so that the caller's next request can be found. */
  drop(): void {
    this.#sent = undefined;
    if (this.#up !== undefined) this.#up[UPLOAD] = undefined;
    if (this.#isTaken) this.#body.resume();
  }

  /** The stream stands. */
  begin(up: Target): void {
    if (up.destroyed) return;
    this.#up = up;
    up.on('drain', this.#listeners.drain);
    for (const chunk of this.#sent ?? []) up.write(chunk);
    if (!this.#isTaken) this.#take();
    else if (this.#isEnded) this.#end();
    this.#body.resume();
  }

  drained(up: Target): void {
    if (up === this.#up) this.#body.resume();
  }

  #take(): void {
    this.#isTaken = true;
    this.#body[UPLOAD] = this;
    this.#body.on('data', this.#listeners.data);
    // An empty one ends without being read, and may have done so while nobody listened.
    if (this.#body.readableEnded) this.ended();
    else this.#body.on('end', this.#listeners.end);
    this.#body.on('error', unheard);
  }

  ended(): void {
    this.#isEnded = true;
    this.#body[UPLOAD] = undefined;
    this.#end();
  }

  send(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#maxBytes !== undefined && this.#bytes > this.#maxBytes) {
      this.owner.tooLarge(this.#maxBytes);
      return;
    }
    this.#keep(chunk);
    // Nobody reads any more: the rest is the caller's own affair, and dropped.
    if (this.#up?.writable && !this.#up.write(chunk)) this.#body.pause();
  }

  #keep(chunk: Buffer): void {
    if (this.#sent === undefined) return;
    if (this.#bytes > REPLAY_BYTES) this.#sent = undefined;
    else this.#sent.push(chunk);
  }

  #end(): void {
    if (!this.#up?.writable) return;
    this.#up.end();
    this.owner.sent();
  }
}
