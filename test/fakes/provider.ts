import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK, JWTPayload } from 'jose';
import { answer } from './provider-answers.ts';
import {
  type Asked,
  accessToken,
  type Behaviour,
  currentKey,
  initialState,
  newKey,
  type ProviderOptions,
  personClaims,
  type State,
  sign,
} from './provider-state.ts';

export type { Answer, Asked, Behaviour, Person, ProviderOptions, Refreshed } from './provider-state.ts';

export interface FakeProvider {
  /** `http://127.0.0.1:<port>` and the path it was started with. */
  readonly issuer: string;
  readonly behaviour: Behaviour;
  /** How often each thing was asked for. */
  readonly calls: Readonly<Record<Asked, number>>;
  /** The parameters of every token request, in order. */
  readonly tokenRequests: readonly URLSearchParams[];
  /** Tokens that came to the revocation endpoint, in order. */
  readonly revoked: readonly string[];
  /** Bytes that were taken of the longest `streamedBytes` so far, some of them by the system's buffers only. */
  longestStreamed(): number;
  /** From now on answers to this question wait; the returned function lets them go, and later ones through. */
  hold(asked: Asked): () => void;
  /** Resolves when this has been asked for `count` times in all. */
  whenAsked(asked: Asked, count: number): Promise<void>;
  /** Signs with a new key from now on. @param options.keepOld whether the JWKS goes on listing the old ones */
  rotateKeys(options: { keepOld: boolean }): Promise<void>;
  /** An access token (RFC 9068) as the token endpoint makes them. @param changes added to, or with `undefined` taken from, its claims */
  accessToken(changes?: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** A JWT signed with the current key, claims as given. */
  sign(claims: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** The public half of the current key. */
  publicJwk(): JWK;
  /** Closes every connection and the port; `restart` opens the same one again. */
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/**
 * A small OpenID provider with real RS256 keys on a free port of 127.0.0.1, which misbehaves on request.
 *
 * Endpoints under the issuer: `/authorize`, `/token`, `/userinfo`, `/jwks`, `/revoke`, `/logout`. Any client id and secret
 * will do; PKCE is checked. Grants: authorization_code, refresh_token, client_credentials.
 */
export async function startProvider(options: ProviderOptions = {}): Promise<FakeProvider> {
  const state = await initialState(options);
  const server = createServer((request, response) => {
    // A caller that hung up needs no answer, and a bug in this fake shows as a 500.
    answer(state, request, response).catch((cause: unknown) => response.writeHead(500).end(String(cause)));
  });
  const open = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await open(options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  state.issuer = `http://127.0.0.1:${port}${options.path ?? ''}`;
  return {
    issuer: state.issuer,
    behaviour: state.behaviour,
    calls: state.calls,
    tokenRequests: state.tokenRequests,
    revoked: state.revoked,
    longestStreamed: () => state.longestStreamed,
    hold: (asked) => hold(state, asked),
    whenAsked: (asked, count) => whenAsked(state, asked, count),
    rotateKeys: async ({ keepOld }) => {
      state.keys = [await newKey(), ...(keepOld ? state.keys : [])];
    },
    accessToken: (changes = {}, header = {}) => accessToken(state, { ...personClaims(state), ...changes }, header),
    sign: (claims, header = {}) => sign(state, claims, header),
    publicJwk: () => currentKey(state).jwk,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
    restart: () => open(port),
  };
}

function hold(state: State, asked: Asked): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  state.held.set(asked, promise);
  return () => {
    state.held.delete(asked);
    resolve();
  };
}

function whenAsked(state: State, asked: Asked, count: number): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (state.calls[asked] < count) return;
      state.watchers.delete(look);
      resolve();
    };
    state.watchers.add(look);
    look();
  });
}
