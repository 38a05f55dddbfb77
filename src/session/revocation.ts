import type { Millis } from '../config/units.ts';
import type { SessionMarks } from './marks.ts';

/** Which sessions a sign-out ends. */
export type Revoked =
  /** With whose it was, where that is known. */
  | {
      readonly kind: 'session';
      readonly handle: string;
      readonly issuer?: string | undefined;
      readonly subject?: string | undefined;
    }
  /** Those that came of one session at the provider; with whose it was, where the provider says. */
  | {
      readonly kind: 'provider-session';
      readonly issuer: string;
      readonly sid: string;
      readonly subject?: string | undefined;
    }
  | { readonly kind: 'person'; readonly issuer: string; readonly subject: string }
  /** Those of a person's of which nobody knows to which session at the provider they belong. */
  | { readonly kind: 'person-without-sid'; readonly issuer: string; readonly subject: string };

/** All sessions: nobody asks for that, it stands for sign-outs that there was no room for. */
export type Everybody = { readonly kind: 'everybody' };

/** A sign-out before the session's time. */
export interface Revocation {
  readonly of: Revoked | Everybody;
  /** Sessions that begin later are others; only a person, and everybody, begins several. */
  readonly at: Millis;
  /** When the last session that it speaks of would have ended anyway. */
  readonly until: Millis;
}

/** Whether a revocation speaks of this session. */
export function speaksOf({ of, at }: Pick<Revocation, 'of' | 'at'>, session: SessionMarks): boolean {
  switch (of.kind) {
    case 'session':
      return of.handle === session.handle;
    case 'provider-session':
      return of.sid === session.sid && of.issuer === session.issuer;
    case 'person':
      return of.subject === session.subject && of.issuer === session.issuer && session.startedAt <= at;
    case 'person-without-sid':
      return session.sid === undefined && speaksOf({ of: { ...of, kind: 'person' }, at }, session);
    case 'everybody':
      return session.startedAt <= at;
  }
}

/** What tells one from all others of its kind. */
export function keyOf(of: Revocation['of']): string {
  switch (of.kind) {
    case 'session':
      return of.handle;
    case 'provider-session':
      return JSON.stringify([of.issuer, of.sid]);
    case 'person':
    case 'person-without-sid':
      return JSON.stringify([of.issuer, of.subject]);
    case 'everybody':
      return '';
  }
}

/** All of the person of whom it is a part. */
export function wholeOf(of: Revocation['of']): Revocation['of'] {
  if (of.kind === 'everybody') return of;
  return { kind: 'person', issuer: of.issuer ?? '', subject: of.subject ?? '' };
}

/** Whose it is, where it is one of several that somebody may have. */
export function personOf(of: Revocation['of']): string | undefined {
  if (of.kind !== 'session' && of.kind !== 'provider-session') return undefined;
  return of.subject === undefined ? undefined : keyOf(wholeOf(of));
}
