import { type Finding, ok, problem, unknown, warning } from './finding.ts';

/** What came back at the public URL, to a question without a credential. */
export interface FrontAnswer {
  readonly status: number;
  readonly location: string | undefined;
  readonly challenge: string | undefined;
  readonly contentType: string | undefined;
  readonly body: unknown;
}

/**
 * Whether it is the gateway that answers `/me` at the public URL: with 401 and its own challenge. A redirect to another
 * origin there sends every sign-in round in circles.
 */
export function judgeMe(answer: FrontAnswer, publicUrl: string): Finding {
  const { status, location, challenge } = answer;
  if (status === 401 && challenge?.includes('realm="flyte"'))
    return ok('public-url', `a gateway answers at ${publicUrl}`);
  const to = location === undefined ? null : URL.parse(location, publicUrl);
  if (status >= 300 && status < 400 && to && to.origin !== publicUrl)
    return problem(
      'public-url',
      `${publicUrl} redirects to ${to.origin}: people end up where their sign-in did not begin`,
      `write server.publicUrl: ${to.origin}, if that is where people go, and register its /callback and /logout`,
    );
  if (status >= 300 && status < 400)
    return problem(
      'public-url',
      `/me at ${publicUrl} is redirected`,
      'let /me, /login, /callback and /logout through to the gateway without a check in front of them (auth-url, auth_request)',
    );
  if (status === 502 || status === 503 || status === 504)
    return unknown(
      'public-url',
      `${publicUrl} answers ${status}: what stands in front reaches no gateway yet`,
      'start it, and ask again',
    );
  return problem(
    'public-url',
    `what answers /me at ${publicUrl} (status ${status}) is not this gateway`,
    'lead the host of server.publicUrl to the gateway; flyteadmin behind it keeps useAuth: false',
  );
}

/** Whether Flyte's SDK finds out where to sign in. @see Flyte's `AuthMetadataService/GetPublicClientConfig` */
export function judgeDiscovery(answer: FrontAnswer, expected: { clientId: string; generation: string }): Finding {
  const { status, contentType, body } = answer;
  const { clientId, generation } = expected;
  const what = `AuthMetadataService of ${generation}`;
  const isJson = contentType?.startsWith('application/json') === true;
  if (status === 200 && isJson) {
    const told = typeof body === 'object' && body !== null && 'clientId' in body ? body.clientId : undefined;
    if (told === clientId) return ok('sdk-discovery', `${what} answers without a credential`);
    return problem(
      'sdk-discovery',
      `${what} tells another client id than these settings: somebody else answers`,
      'lead /flyteidl.service.AuthMetadataService and /flyteidl2.auth.AuthMetadataService to the gateway',
    );
  }
  if (status === 502 || status === 503 || status === 504)
    return unknown(
      'sdk-discovery',
      `${what} answers ${status}`,
      'ask again when the gateway runs and its issuer answers',
    );
  const guarded = status === 401 || status === 403 || (status >= 300 && status < 400);
  return guarded
    ? problem(
        'sdk-discovery',
        `${what} wants a credential (status ${status}), and the SDK has none before it has asked`,
        'take auth-url or auth_request off these paths: config/nginx has both Ingresses',
      )
    : warning(
        'sdk-discovery',
        `${what} answers ${status}`,
        'lead its path to the gateway, and nothing else; gRPC callers need HTTP/2 from end to end',
      );
}
