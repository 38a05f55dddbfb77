import { Failure } from '../failure.ts';
import type { Session } from './session.ts';

/**
 * The failure of a session that does not fit, naming the claim or token that takes the most room.
 *
 * @param needed bytes or characters that it takes
 * @param room   how many there are
 * @param where  what is too small, e.g. `a cookie`
 */
export function sessionTooLarge(session: Session, size: { needed: number; room: number; where: string }): Failure {
  const [name, bytes] = biggestPart(session);
  return new Failure(
    'session_too_large',
    `the session takes ${size.needed} bytes where ${size.where} has room for ${size.room}; ${name} alone takes ${bytes}`,
  );
}

/** The claim or token that takes the most room, and its bytes: `the claim groups`, `the refresh token`. */
export function biggestPart(session: Session): readonly [name: string, bytes: number] {
  const { additional = {}, ...claims } = session.claims;
  const parts: [string, unknown][] = [
    ['the refresh token', session.refreshToken],
    ['the access token', session.accessToken],
  ];
  for (const [name, value] of [...Object.entries(claims), ...Object.entries(additional)])
    parts.push([`the claim ${name}`, value]);
  const sized = parts.map(([name, value]) => [name, Buffer.byteLength(JSON.stringify(value) ?? '')] as const);
  return sized.reduce((biggest, part) => (part[1] > biggest[1] ? part : biggest));
}
