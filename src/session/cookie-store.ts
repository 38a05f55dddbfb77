import type { Seal } from './seal.ts';
import type { Session } from './session.ts';
import { sessionTooLarge } from './session-size.ts';
import type { SessionStore } from './store.ts';
import { readStoredSession } from './stored-session.ts';

/** 2.8 KiB: with name and attributes it stays under the 3.5 KiB of headers that nginx takes from an answer. */
const MAX_COOKIE_LENGTH = 2867;

/**
 * Keeps the whole session in its cookie, sealed; nothing in this process. An ended session's cookie still opens: refusing it
 * is the revocations' part.
 */
export function createCookieStore(needs: { seal: Seal }): SessionStore {
  const keep = async (session: Session): Promise<string> => {
    const cookie = await needs.seal.seal('session', session);
    if (cookie.length > MAX_COOKIE_LENGTH)
      throw sessionTooLarge(session, { needed: cookie.length, room: MAX_COOKIE_LENGTH, where: 'the sealed cookie' });
    return cookie;
  };
  return {
    async open(cookie) {
      const payload = await needs.seal.open('session', cookie);
      if (!payload) return { kind: 'unreadable', why: 'not sealed by a key of this deployment' };
      const session = readStoredSession(payload);
      return session ? { kind: 'alive', session } : { kind: 'unreadable', why: 'sealed by another version' };
    },
    create: keep,
    update: keep,
    async end() {},
  };
}
