import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { SessionLimits } from '../session/limits.ts';
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

/** At least so long is known which refresh token of a session is the newest. */
const LINEAGE_MS: Millis = 60_000;

/** How long a session may go on without being renewed again: so long its newest refresh token has to be known. */
export function lineageLife(session: Session, { limits, now }: { limits: SessionLimits; now: Clock }): Millis {
  const end = Math.min(session.startedAt + limits.absoluteMs, session.accessExpiresAt + limits.idleMs);
  return Math.max(LINEAGE_MS, end - now());
}

/**
 * What came of a renewal, for whoever else still carries that refresh token: its kind, the moment that tells results of one
 * refresh token apart (see `renewal-scripts.ts`), and the rest sealed.
 *
 * @param asked what was to be renewed
 */
export async function packRenewal(renewal: Renewal, asked: Session, seal: Seal): Promise<string> {
  const isKept = renewal.kind === 'renewed' && renewal.session.refreshToken === asked.refreshToken;
  const moment = isKept ? String(Math.ceil(renewal.session.accessExpiresAt)) : '-';
  return `${renewal.kind} ${moment} ${await sealRenewal(renewal, seal)}`;
}

/** @returns see `openRenewal` */
export async function unpackRenewal(packed: string, session: Session, seal: Seal): Promise<Renewal | undefined> {
  // What stands in the clear is for the scripts; believed is what is sealed.
  const [, , sealed = ''] = packed.split(' ');
  return openRenewal(sealed, session, seal);
}

/**
 * Seals what came of a renewal with the gateway's keys, and the new session in it once more as stores do, with what only its
 * cookie carries: there is a new refresh token in it.
 */
function sealRenewal(renewal: Renewal, seal: Seal): Promise<string> {
  const { kind } = renewal;
  if (kind !== 'renewed') return seal.seal('renewal', { kind });
  const { session } = renewal;
  return seal.seal('renewal', { kind, handle: handleOf(session.id), record: sealRecord(session).toString('base64') });
}

/**
 * @param session whose refresh token was spent
 * @returns `refused` when it was another session's, as neither is renewed by the other's; undefined for what does not open
 */
async function openRenewal(sealed: string, session: Session, seal: Seal): Promise<Renewal | undefined> {
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
