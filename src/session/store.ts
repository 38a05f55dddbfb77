import type { Failure } from '../failure.ts';
import type { Session } from './session.ts';
import type { SessionList, Whereabouts } from './session-list.ts';

/** What a session cookie turned out to be. Only `unreachable` means that we could not tell. */
export type Opened =
  | { readonly kind: 'alive'; readonly session: Session }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'unreachable'; readonly cause: Failure };

/**
 * Keeps sessions between requests. It knows nothing of limits, renewal or revocation: those are judged by its users.
 * Values that go in and out are cookie values (not whole Set-Cookie lines).
 */
export interface SessionStore {
  /** Never throws for anything a browser can send. */
  open(cookie: string): Promise<Opened>;
  /**
   * Keeps a new session.
   *
   * @param from where it was begun, for those who list it
   * @throws {Failure} `session_too_large` naming the claim or token to blame; `store_unreachable`
   */
  create(session: Session, from?: Whereabouts): Promise<string>;
  /**
   * Keeps a session that changed (renewed, or seen again) under the same id.
   * @returns the new cookie value, or undefined when the browser's own still stands
   * @throws {Failure} like `create`
   */
  update(session: Session): Promise<string | undefined>;
  /** Forgets a session; one that isn't there is no error. @throws {Failure} `store_unreachable` */
  end(id: string): Promise<void>;
  /** Absent where nothing is kept: a sealed cookie is with its browser only. */
  readonly list?: SessionList;
}
