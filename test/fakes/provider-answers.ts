import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Asked, accessToken, changed, nowS, personClaims, type State, sign } from './provider-state.ts';

/** Answers one request to the fake provider; see `provider.ts`. */
export async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://provider.invalid');
  const asked = askedBy(state, url.pathname);
  if (!asked) {
    response.writeHead(404).end();
    return;
  }
  const body = await bodyOf(request);
  state.calls[asked] += 1;
  for (const look of [...state.watchers]) look();
  await Promise.all([state.held.get(asked), sleep(state.behaviour.latencyMs[asked] ?? 0, undefined, { ref: false })]);
  const scripted = state.behaviour.answers[asked];
  if (scripted) {
    response.writeHead(scripted.status, { 'content-type': 'application/json', ...scripted.fields });
    if (scripted.streamedBytes !== undefined) return stream(state, response, scripted.streamedBytes);
    response.end(scripted.body ?? '');
    return;
  }
  if (asked === 'authorize') return authorize(state, url.searchParams, response);
  if (asked === 'token') return token(state, new URLSearchParams(body), { request, response });
  if (asked === 'introspect') return introspect(state, new URLSearchParams(body), response);
  if (asked === 'logout') return logout(url.searchParams, response);
  if (asked === 'revoke') {
    revoke(state, new URLSearchParams(body).get('token') ?? '');
    response.writeHead(200).end();
  } else if (asked === 'userinfo') json(response, 200, changed(personAsking(state, request), state.behaviour.userinfo));
  else if (asked === 'jwks') json(response, 200, { keys: state.keys.map((key) => key.jwk) });
  else json(response, 200, metadata(state));
}

function askedBy(state: State, pathname: string): Asked | undefined {
  const path = state.options.path ?? '';
  // OpenID Connect Discovery §4 appends the well-known path to the issuer, RFC 8414 §3.1 puts it in front of the issuer's path.
  const wellKnown = [`${path}/.well-known/openid-configuration`, `/.well-known/oauth-authorization-server${path}`];
  if (wellKnown.includes(pathname)) return 'discovery';
  const names: readonly Asked[] = ['jwks', 'authorize', 'token', 'userinfo', 'revoke', 'logout', 'introspect'];
  return names.find((name) => pathname === `${path}/${name}`);
}

function metadata(state: State): Record<string, unknown> {
  const { issuer, behaviour } = state;
  const document = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    revocation_endpoint: `${issuer}/revoke`,
    end_session_endpoint: `${issuer}/logout`,
    introspection_endpoint: `${issuer}/introspect`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access', 'all'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
    authorization_response_iss_parameter_supported: behaviour.issParameter,
  };
  return changed(document, behaviour.metadata);
}

function authorize(state: State, asked: URLSearchParams, response: ServerResponse): void {
  const code = randomUUID();
  state.codes.set(code, asked);
  const back = changed(
    { code, state: asked.get('state') ?? undefined, iss: state.behaviour.issParameter ? state.issuer : undefined },
    state.behaviour.authorizeResponse,
  );
  const to = new URL(asked.get('redirect_uri') ?? '');
  for (const [name, value] of Object.entries(back)) if (value !== undefined) to.searchParams.set(name, String(value));
  response.writeHead(302, { location: to.href }).end();
}

async function token(
  state: State,
  asked: URLSearchParams,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  state.tokenRequests.push(asked);
  const grant = asked.get('grant_type');
  const by = withClient(new URLSearchParams(asked), request);
  const client = by.get('client_id') ?? 'service';
  const { clients } = state.behaviour;
  const isCounted = clients !== undefined && (grant === 'client_credentials' || client in clients);
  if (isCounted && clients[client] !== by.get('client_secret')) return json(response, 401, { error: 'invalid_client' });
  if (grant === 'client_credentials') {
    const access = await accessToken(state, { sub: client, client_id: client, scope: asked.get('scope') ?? 'all' }, {});
    return json(response, 200, {
      access_token: access,
      token_type: 'Bearer',
      expires_in: state.behaviour.accessTokenTtlS,
    });
  }
  if (grant === 'authorization_code') {
    const login = redeem(state, asked);
    if (!login) return json(response, 400, { error: 'invalid_grant' });
    const newFamily = randomUUID();
    const idp = login.get('idp');
    if (state.options.subjectByIdp && idp !== null) state.subjects.set(newFamily, idp);
    return json(response, 200, await tokensFor(state, { login, family: newFamily }));
  }
  const family = rotate(state, asked.get('refresh_token') ?? '', response);
  if (!family) return json(response, 400, { error: 'invalid_grant' });
  json(response, 200, await tokensFor(state, { login: new URLSearchParams(), family }));
}

/** A client that says who it is by Basic (RFC 6749 §2.3.1) is noted as if it had said so in the form. */
function withClient(asked: URLSearchParams, request: IncomingMessage): URLSearchParams {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (basic === undefined) return asked;
  const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':');
  // Form encoding is what a query is written in.
  for (const [name, value] of new URLSearchParams(`client_id=${id}&client_secret=${secret}`)) asked.set(name, value);
  return asked;
}

function introspect(state: State, asked: URLSearchParams, response: ServerResponse): void {
  const known = state.behaviour.opaque[asked.get('token') ?? ''];
  json(response, 200, known ? { active: true, ...known } : { active: false });
}

function redeem(state: State, asked: URLSearchParams): URLSearchParams | undefined {
  const code = asked.get('code') ?? '';
  const login = state.codes.get(code);
  state.codes.delete(code);
  if (!login || login.get('redirect_uri') !== asked.get('redirect_uri')) return undefined;
  const challenge = login.get('code_challenge');
  const verifier = asked.get('code_verifier') ?? '';
  const isProved = challenge === null || createHash('sha256').update(verifier).digest('base64url') === challenge;
  return isProved ? login : undefined;
}

function rotate(state: State, refreshToken: string, response: ServerResponse): string | undefined {
  const known = state.refreshTokens.get(refreshToken);
  if (!known) return undefined;
  const subject = state.subjects.get(known.family) ?? state.behaviour.person.sub;
  const tell = state.options.onRefresh ?? (() => undefined);
  if (known.used) tell(subject, 'again');
  else if (response.closed) tell(subject, 'lost');
  else {
    tell(subject, 'spent');
    response.once('close', () => {
      if (!response.writableFinished) tell(subject, 'lost');
    });
  }
  if (state.endedFamilies.has(known.family)) return undefined;
  if (known.used && state.behaviour.strictRotation) {
    state.endedFamilies.add(known.family);
    return undefined;
  }
  known.used = true;
  return known.family;
}

function revoke(state: State, refreshToken: string): void {
  state.revoked.push(refreshToken);
  const known = state.refreshTokens.get(refreshToken);
  if (known) state.endedFamilies.add(known.family);
}

async function tokensFor(
  state: State,
  of: { login: URLSearchParams; family: string },
): Promise<Record<string, unknown>> {
  const { behaviour, issuer } = state;
  const at = nowS(state);
  const clientId = of.login.get('client_id') ?? 'web';
  const subject = state.subjects.get(of.family);
  const person = subject === undefined ? behaviour.person : { ...behaviour.person, sub: subject };
  const idClaims = {
    ...person,
    iss: issuer,
    aud: clientId,
    iat: at,
    exp: at + behaviour.idTokenTtlS,
    nonce: of.login.get('nonce') ?? undefined,
  };
  const refreshToken = randomUUID();
  if (behaviour.refreshTokens) state.refreshTokens.set(refreshToken, { family: of.family, used: false });
  return changed(
    {
      access_token: await accessToken(state, { ...personClaims(state), sub: person.sub, client_id: clientId }, {}),
      id_token: await sign(state, changed(idClaims, behaviour.idToken), {}),
      token_type: 'Bearer',
      expires_in: behaviour.accessTokenTtlS,
    },
    behaviour.refreshTokens ? { refresh_token: refreshToken } : {},
  );
}

/** Who an access token speaks of, where the provider has several people. */
function personAsking(state: State, request: IncomingMessage): Record<string, unknown> {
  const { person } = state.behaviour;
  if (!state.options.subjectByIdp) return person;
  const [, payload = ''] = (request.headers.authorization ?? '').split('.');
  return { ...person, sub: Object(JSON.parse(Buffer.from(payload, 'base64url').toString())).sub };
}

function stream(state: State, response: ServerResponse, bytes: number): void {
  const chunk = Buffer.alloc(65_536, ' ');
  let left = bytes;
  const write = () => {
    while (left > 0 && !response.destroyed) {
      left -= chunk.length;
      state.longestStreamed = Math.max(state.longestStreamed, bytes - left);
      if (!response.write(chunk)) return;
    }
    response.end();
  };
  response.on('drain', write);
  write();
}

function logout(asked: URLSearchParams, response: ServerResponse): void {
  const back = asked.get('post_logout_redirect_uri');
  if (!back) {
    response.writeHead(200).end('signed out');
    return;
  }
  const to = new URL(back);
  const logoutState = asked.get('state');
  if (logoutState !== null) to.searchParams.set('state', logoutState);
  response.writeHead(302, { location: to.href }).end();
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
