import { create } from '@bufbuild/protobuf';
import { type EnrichedIdentity, EnrichedIdentitySchema } from './gen/flyteidl2/common/identity_pb.ts';
import { readable } from './identity-seen.ts';

/**
 * Who a stock Flyte 2 takes the caller for, from its header fields: the payload of `X-Amzn-Oidc-Data`, whose signature it does
 * not verify, else `X-Auth-Request-User` and `-Email`. Nobody when neither is there.
 *
 * @param fields the request's, by any spelling of their names
 */
export function believedIdentity(fields: Headers): EnrichedIdentity | undefined {
  const claims = payloadOf(fields.get('x-amzn-oidc-data') ?? '') ?? {
    sub: readable(fields.get('x-auth-request-user') ?? ''),
    email: readable(fields.get('x-auth-request-email') ?? ''),
  };
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name] : '');
  if (text('sub') === '') return undefined;
  const spec = { firstName: text('given_name'), lastName: text('family_name'), email: text('email') };
  return create(EnrichedIdentitySchema, {
    principal: { case: 'user', value: { id: { subject: text('sub') }, spec } },
  });
}

function payloadOf(jwt: string): Record<string, unknown> | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    return typeof payload === 'object' && payload !== null ? { ...payload } : undefined;
  } catch {
    // No JWT: the other fields are looked at.
    return undefined;
  }
}
