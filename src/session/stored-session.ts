import { z } from 'zod';
import type { Session } from './session.ts';

/**
 * Reads back a session that was stored as JSON. Members that a later version added are left out.
 *
 * @returns undefined when it has another shape
 */
export function readStoredSession(stored: unknown): Session | undefined {
  return shape.safeParse(stored).data;
}

const moment = z.number().nonnegative();
const text = z.string();
const claimValue = z.union([text, z.number(), z.boolean(), z.array(text)]);

const shape = z.object({
  id: text.min(1),
  issuer: text.min(1),
  sid: text.min(1).exactOptional(),
  claims: z.object({
    sub: text.min(1),
    name: text.exactOptional(),
    preferred_username: text.exactOptional(),
    given_name: text.exactOptional(),
    family_name: text.exactOptional(),
    email: text.exactOptional(),
    email_verified: z.boolean().exactOptional(),
    picture: text.exactOptional(),
    groups: z.array(text).exactOptional(),
    additional: z.record(text, claimValue).exactOptional(),
  }),
  startedAt: moment,
  seenAt: moment,
  accessExpiresAt: moment,
  renewAt: moment.exactOptional(),
  refreshToken: text.min(1).exactOptional(),
  accessToken: text.min(1).exactOptional(),
});
