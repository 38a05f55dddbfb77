import { hash } from 'node:crypto';
import type { Millis } from '../config/units.ts';
import type { Session } from './session.ts';

/** All that a sign-out may know a session by. Nothing here opens it. */
export interface SessionMarks {
  /** Its public name: in log lines, in lists, in what operators type. */
  readonly handle: string;
  readonly issuer: string;
  readonly subject: string;
  /** The provider's own name for its session (`sid`; OpenID Connect Front-Channel Logout §3), where it said one. */
  readonly sid?: string;
  readonly startedAt: Millis;
}

export function marksOf({ id, issuer, claims, sid, startedAt }: Session): SessionMarks {
  return { handle: handleOf(id), issuer, subject: claims.sub, ...(sid !== undefined && { sid }), startedAt };
}

/** 96 bits of SHA-256 in base64url: names a session id without telling it. */
export function handleOf(sessionId: string): string {
  // Cut as bytes: a part of a string would keep the whole of it, for each session that is remembered.
  return hash('sha256', sessionId, 'buffer').toString('base64url', 0, 12);
}
