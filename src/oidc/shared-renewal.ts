import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { handleOf } from '../session/marks.ts';
import { openRecord, sealRecord } from '../session/record.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Renewal } from './lineage.ts';

/** At least so long, however short-lived the access tokens: Set-Cookie gets lost, and old cookies come late. */
const RENEWED_MS: Millis = 900_000;
/** A no holds for all replicas for so long. */
const REFUSED_MS: Millis = 60_000;
/** A failure says only that nobody need try in this moment. */
const FAILED_MS: Millis = 1000;

/** How long what came of a renewal is kept for others: a new session until its access token dies. */
export function lifeOf(renewal: Renewal, now: Millis): Millis {
  switch (renewal.kind) {
    case 'renewed':
      return Math.max(renewal.session.accessExpiresAt - now, RENEWED_MS);
    case 'refused':
      return REFUSED_MS;
    case 'failed':
      return FAILED_MS;
  }
}

/**
 * Seals what came of a renewal with the gateway's keys, and the new session in it once more as stores do, with what only its
 * cookie carries: there is a new refresh token in it.
 */
export function sealRenewal(renewal: Renewal, seal: Seal): Promise<string> {
  const { kind } = renewal;
  if (kind !== 'renewed') return seal.seal('renewal', { kind });
  const { session } = renewal;
  return seal.seal('renewal', { kind, handle: handleOf(session.id), record: sealRecord(session).toString('base64') });
}

/**
 * @param session whose refresh token was spent
 * @returns `refused` when it was another session's, as neither is renewed by the other's; undefined for what does not open
 */
export async function openRenewal(sealed: string, session: Session, seal: Seal): Promise<Renewal | undefined> {
  const opened = await seal.open('renewal', sealed);
  switch (opened?.['kind']) {
    case 'renewed': {
      if (opened['handle'] !== handleOf(session.id)) return { kind: 'refused' };
      const renewed = openRecord(session.id, Buffer.from(String(opened['record']), 'base64'));
      return renewed && { kind: 'renewed', session: renewed };
    }
    case 'refused':
      return { kind: 'refused' };
    case 'failed':
      return { kind: 'failed', cause: new Failure('renewal_failed', 'another replica has just failed to renew it') };
    default:
      return undefined;
  }
}
