import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { handleOf } from '../session/marks.ts';
import type { PersonClaims, Session } from '../session/session.ts';
import type { Client, Tokens } from './client.ts';
import { personClaims, type RawClaims } from './person-claims.ts';
import { troubleOf } from './trouble.ts';

/** What the provider says of a person whose session it has just renewed. */
export type FollowedClaims =
  | { readonly kind: 'same-person'; readonly claims: PersonClaims }
  /** Whatever these tokens are, they are not this person's. */
  | { readonly kind: 'somebody-else' };

export interface FollowNeeds {
  readonly client: Client;
  /** Further claims to keep. */
  readonly claims: readonly string[];
  readonly now: Clock;
  readonly log: Log;
}

/**
 * Follows what the provider says of a person, so that a group or an address taken away there is gone here with the next
 * renewal: the new ID token and userinfo are read as at sign-in, and what neither of them says any more is gone.
 *
 * Could it not tell (userinfo did not answer, the keys for the ID token could not be had, or it has neither to offer), the
 * person stays as known: the tokens that came are good, and an outage takes nothing from anybody.
 *
 * Never throws: the old refresh token is spent, and with an error the new one would be lost.
 *
 * @param askedAt when the renewal began: userinfo has what is left of the time for one exchange
 */
export async function followClaims(
  session: Session,
  tokens: Tokens,
  askedAt: Millis,
  needs: FollowNeeds,
): Promise<FollowedClaims> {
  const { sub } = session.claims;
  const said = tokens.idToken?.claims;
  if (said && said.sub !== sub) return { kind: 'somebody-else' };
  const asIs = { kind: 'same-person', claims: session.claims } as const;
  if (tokens.idTokenUnread) {
    needs.log.warn('renewal.id_token_unread', { session: nameOf(session), cause: tokens.idTokenUnread });
    return asIs;
  }
  const userinfo = await askUserinfo(session, tokens, askedAt, needs);
  if (userinfo.kind === 'somebody-else') return userinfo;
  if (userinfo.kind === 'unknown' || (!userinfo.said && !said)) return asIs;
  const claims = personClaims(said ?? { sub }, userinfo.said ?? {}, needs.claims) ?? session.claims;
  noteGone(session, claims, needs.log);
  return { kind: 'same-person', claims };
}

type Userinfo =
  | { readonly kind: 'answered' /** Undefined where there is nobody to ask. */; readonly said: RawClaims | undefined }
  | { readonly kind: 'somebody-else' }
  | { readonly kind: 'unknown' };

async function askUserinfo(session: Session, tokens: Tokens, askedAt: Millis, needs: FollowNeeds): Promise<Userinfo> {
  try {
    const spentMs = needs.now() - askedAt;
    return {
      kind: 'answered',
      said: await needs.client.userinfo(tokens.accessToken, session.claims.sub, spentMs),
    };
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble.kind === 'subject') return { kind: 'somebody-else' };
    needs.log.warn('renewal.userinfo_failed', { session: nameOf(session), cause: causeOf(trouble) });
    return { kind: 'unknown' };
  }
}

function causeOf(trouble: Exclude<ReturnType<typeof troubleOf>, { kind: 'subject' }>): Failure {
  switch (trouble.kind) {
    case 'unreachable':
      return trouble.cause;
    case 'refused':
      return new Failure('renewal_failed', `userinfo said ${trouble.error}`);
    case 'invalid':
      return new Failure('renewal_failed', trouble.why);
  }
}

/** By their names: an operator who wonders where somebody's groups went finds them here. */
function noteGone(session: Session, claims: PersonClaims, log: Log): void {
  const namesOf = ({ additional, ...own }: PersonClaims) => [...Object.keys(own), ...Object.keys(additional ?? {})];
  const left = new Set(namesOf(claims));
  const gone = namesOf(session.claims).filter((name) => !left.has(name));
  if (gone.length > 0) log.info('renewal.claims_gone', { session: nameOf(session), claims: gone });
}

function nameOf(session: Session): string {
  return handleOf(session.id);
}
