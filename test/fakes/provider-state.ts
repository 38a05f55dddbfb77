import { randomUUID } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/** What can be asked of a provider, by the path it is asked at. */
export type Asked = 'discovery' | 'jwks' | 'authorize' | 'token' | 'userinfo' | 'revoke' | 'logout' | 'introspect';

/** An answer that takes the place of the proper one. */
export interface Answer {
  readonly status: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** So many bytes of spaces follow, as fast as they are taken. */
  readonly streamedBytes?: number;
}

/** What becomes of a refresh token: spent for the first time, spent once more, or spent for an answer that nobody took. */
export type Refreshed = 'spent' | 'again' | 'lost';

/** Who signs in when a browser comes to `/authorize`: there is no page, everyone is let in at once. */
export interface Person {
  readonly sub: string;
  readonly [claim: string]: unknown;
}

/** Mutable on purpose: a test sets what it needs, whenever it needs it. */
export interface Behaviour {
  person: Person;
  /** Seconds that access tokens live. */
  accessTokenTtlS: number;
  idTokenTtlS: number;
  /** Whether the token endpoint hands out refresh tokens. */
  refreshTokens: boolean;
  /** A refresh token is good for one use, and a second use ends every token that came from it. */
  strictRotation: boolean;
  /** Whether `/authorize` sends `iss` back and the metadata promises it (RFC 9207). */
  issParameter: boolean;
  /** Added to, or with `undefined` taken from, the claims of ID tokens. */
  idToken: Readonly<Record<string, unknown>>;
  /** Likewise for access tokens. */
  accessToken: Readonly<Record<string, unknown>>;
  /** Likewise for the userinfo answer. */
  userinfo: Readonly<Record<string, unknown>>;
  /** Likewise for the metadata. */
  metadata: Readonly<Record<string, unknown>>;
  /** Likewise for what `/authorize` sends back: `code`, `state`, `iss`, `error` … */
  authorizeResponse: Readonly<Record<string, string | undefined>>;
  /** Secrets of clients by their id; others may use no client credentials. Undefined: any client with any secret. */
  clients: Readonly<Record<string, string>> | undefined;
  /** What introspection says of tokens, besides `active: true`; it knows no others. */
  opaque: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** How long it takes over an answer. */
  readonly latencyMs: Partial<Record<Asked, number>>;
  /** Answers in place of the proper ones: errors, garbage, oversized bodies. */
  readonly answers: Partial<Record<Asked, Answer>>;
}

export interface ProviderOptions {
  /** For one that has to come back to a port which nobody else is given meanwhile; otherwise the system chooses. */
  readonly port?: number;
  /** Path of the issuer, e.g. `/oauth2/default`. */
  readonly path?: string;
  /** `aud` of access tokens. */
  readonly audience?: string;
  /** Milliseconds since the epoch, for every time that goes into a token. */
  readonly now?: () => number;
  /** The `idp` parameter of a sign-in says who signs in, also for everything that comes of it later. */
  readonly subjectByIdp?: boolean;
  /** Told of each use of a refresh token, with `subjectByIdp` by its person. */
  readonly onRefresh?: (subject: string, what: Refreshed) => void;
}

/** Everything the fake provider remembers; see `provider.ts`. */
export interface State {
  readonly options: ProviderOptions;
  readonly behaviour: Behaviour;
  readonly calls: Record<Asked, number>;
  readonly held: Map<Asked, Promise<void>>;
  readonly watchers: Set<() => void>;
  readonly codes: Map<string, URLSearchParams>;
  /** Refresh token → the family it belongs to and whether it was used. */
  readonly refreshTokens: Map<string, { readonly family: string; used: boolean }>;
  readonly endedFamilies: Set<string>;
  /** With `subjectByIdp`: family → its person's subject. */
  readonly subjects: Map<string, string>;
  readonly tokenRequests: URLSearchParams[];
  readonly revoked: string[];
  /** Bytes that were taken of the longest `streamedBytes`. */
  longestStreamed: number;
  keys: { readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: JWK }[];
  issuer: string;
}

export async function initialState(options: ProviderOptions): Promise<State> {
  return {
    options,
    behaviour: {
      person: {
        sub: 'ada',
        name: 'Ada Lovelace',
        preferred_username: 'ada',
        email: 'ada@example.com',
        email_verified: true,
      },
      accessTokenTtlS: 300,
      idTokenTtlS: 300,
      refreshTokens: true,
      strictRotation: true,
      issParameter: true,
      idToken: {},
      accessToken: {},
      userinfo: {},
      metadata: {},
      authorizeResponse: {},
      clients: undefined,
      opaque: {},
      latencyMs: {},
      answers: {},
    },
    calls: { discovery: 0, jwks: 0, authorize: 0, token: 0, userinfo: 0, revoke: 0, logout: 0, introspect: 0 },
    held: new Map(),
    watchers: new Set(),
    codes: new Map(),
    refreshTokens: new Map(),
    endedFamilies: new Set(),
    subjects: new Map(),
    tokenRequests: [],
    revoked: [],
    longestStreamed: 0,
    keys: [await newKey()],
    issuer: '',
  };
}

export async function newKey(): Promise<State['keys'][number]> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } };
}

export function currentKey(state: State): State['keys'][number] {
  const [key] = state.keys;
  if (!key) throw new Error('the provider has no key');
  return key;
}

export function personClaims(state: State): Record<string, unknown> {
  return { sub: state.behaviour.person.sub, client_id: 'native', scope: 'all' };
}

export function accessToken(
  state: State,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>>,
): Promise<string> {
  const at = nowS(state);
  const standard = {
    iss: state.issuer,
    aud: state.options.audience ?? 'http://127.0.0.1',
    iat: at,
    exp: at + state.behaviour.accessTokenTtlS,
    jti: randomUUID(),
  };
  const all = changed(changed(standard, claims), state.behaviour.accessToken);
  return sign(state, all, { typ: 'at+jwt', ...header });
}

export function sign(state: State, claims: JWTPayload, header: Readonly<Record<string, unknown>>): Promise<string> {
  const { kid, privateKey } = currentKey(state);
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid, ...header }).sign(privateKey);
}

export function nowS(state: State): number {
  return Math.floor((state.options.now ?? Date.now)() / 1000);
}

/** `undefined` takes a member away. */
export function changed(
  from: Readonly<Record<string, unknown>>,
  by: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...from, ...by }).filter(([, value]) => value !== undefined));
}
