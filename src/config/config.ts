import type { Secret } from './secret.ts';
import type { Millis } from './units.ts';

/** Ways of telling an upstream who is asking. */
export const identityModes = ['auth-request', 'flyteadmin', 'alb', 'assertion'] as const;
export type IdentityMode = (typeof identityModes)[number];

/** Which token an upstream is sent. */
export const upstreamAuthorizations = ['verified', 'none', 'session-token', 'service-app'] as const;
export type UpstreamAuthorization = (typeof upstreamAuthorizations)[number];

/** The settings, valid and frozen, in base units. Optional things are absent, never empty strings. */
export interface Config {
  readonly server: {
    /** Origin without a trailing slash, e.g. `https://flyte.example.com`; the first authorized URI. */
    readonly publicUrl: string;
    readonly listen: Address;
    readonly tls?: { readonly certFile: string; readonly keyFile: string };
    readonly admin: Address;
    /** CIDRs. */
    readonly trustedProxies: readonly string[];
    /** How long streams may go on after SIGTERM. */
    readonly drainMs: Millis;
    /** Part of `drainMs`, never more. */
    readonly drainDelayMs: Millis;
    /** Processes that serve the public port; auto: as many as there are cores. */
    readonly workers: number | 'auto';
    /** Between two looks at the files; 0: none is taken. */
    readonly reloadIntervalMs: Millis;
    readonly limits: {
      /** Header fields of a request. */
      readonly headerCount: number;
      readonly headerBytes: number;
      /** From the opening of a connection to its first byte. */
      readonly firstByteMs: Millis;
      /** From the first byte of a request to the end of its head. */
      readonly headersMs: Millis;
      /** Between two requests of a connection. Longer than the 60 s that nginx keeps its idle connections. */
      readonly idleMs: Millis;
      /** A request body that makes no progress for so long is given up. */
      readonly bodyIdleMs: Millis;
      readonly connections: number;
      /** Connections from one IP address. */
      readonly connectionsPerAddress: number;
      /** HTTP/2 streams open at once on one connection. */
      readonly streamsPerConnection: number;
      /** HTTP/2 streams that one connection may reset: in the long run, and at once. */
      readonly resetsPerSecond: number;
      readonly resetBurst: number;
      /** Bytes that may wait here before anybody takes them: of one stream, and of all HTTP/2 streams of a caller's connection. */
      readonly streamWindow: number;
      readonly connectionWindow: number;
      /** How often HTTP/2 callers with open streams are asked whether they are there, and how long they may be silent then. */
      readonly pingIntervalMs: Millis;
      readonly pingTimeoutMs: Millis;
      /** Silence before TCP asks whether the peer is there. */
      readonly tcpKeepAliveMs: Millis;
      /** Silence after which an upgraded connection ends; 0: never. */
      readonly upgradeIdleMs: Millis;
    };
    readonly security: { readonly useAuth: true; readonly insecureCookieHeader: boolean };
  };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly requests: boolean };
  readonly auth: {
    /** Lower case. */
    readonly grpcAuthorizationHeader: string;
    /** Lower case. */
    readonly httpAuthorizationHeader: string;
    /** Origins, the public URL first, no default ports, no duplicates. */
    readonly authorizedUris: readonly string[];
    /** Outbound proxy for what the gateway asks the provider. */
    readonly httpProxyURL?: string;
    /** PEM, in addition to the system's. */
    readonly caFile?: string;
    /** Whether an issuer may be reached by http: on a host other than loopback. */
    readonly allowHttpIssuer: boolean;
    readonly trustUnverifiedEmail: boolean;
    /** Time to wait for one answer of a provider. */
    readonly timeoutMs: Millis;
    readonly userAuth: {
      /** Where a person goes who signed in without having wanted anything: a path, or a URL under an authorized URI. */
      readonly redirectUrl: string;
      /** Without a secret: a public client (PKCE alone). */
      readonly openId: Partial<ClientSecret> & {
        readonly clientId: string;
        /** Where discovery is asked: the issuer, unless `issuerUrl` says otherwise. Exact, trailing slash and all. */
        readonly baseUrl: string;
        /** The issuer that tokens must name, when `baseUrl` is an internal address of it. */
        readonly issuerUrl?: string;
        readonly scopes: readonly string[];
      };
      readonly cookieSetting: {
        readonly sameSitePolicy: 'DefaultMode' | 'LaxMode' | 'StrictMode' | 'NoneMode';
        readonly domain?: string;
      };
      readonly idpQueryParameter?: string;
    };
    readonly appAuth: {
      readonly externalAuthServer: {
        /** The access tokens' issuer; `openId.baseUrl` when the file does not say. */
        readonly baseUrl: string;
        readonly allowedAudience: readonly string[];
        /** Metadata document, when it is not at the well-known place. */
        readonly metadataUrl?: string;
        readonly retryAttempts: number;
        readonly retryDelayMs: Millis;
      };
      readonly thirdPartyConfig: {
        readonly flyteClient: {
          readonly clientId: string;
          readonly redirectUri: string;
          readonly scopes: readonly string[];
          readonly audience?: string;
        };
      };
    };
    readonly apiKeys: {
      readonly enabled: boolean;
      /** Asked for in the exchange. */
      readonly scopes: readonly string[];
      /** Failed exchanges within a minute, before further ones are refused. */
      readonly failuresPerClient: number;
      readonly failuresPerAddress: number;
      readonly failuresInAll: number;
    };
    /** Absent: opaque tokens are refused. */
    readonly introspection?: ClientSecret & {
      readonly clientId: string;
      readonly maxAgeMs: Millis;
      readonly failuresPerAddress: number;
      readonly failuresInAll: number;
    };
    readonly additionalIssuers: readonly AdditionalIssuer[];
  };
  /** Base64-decoded key material, one pair per line of the two files; the first seals, all open. At least one. */
  readonly cookieKeys: readonly CookieKey[];
  /** PEM (PKCS#8), P-256 or Ed25519; the first signs, all are published. At least one where an upstream needs one. */
  readonly assertionKeys: readonly Secret[];
  /** What the operator's API is asked with; absent: there is no such API. */
  readonly adminToken?: Secret;
  readonly session: {
    readonly idleMs: Millis;
    readonly absoluteMs: Millis;
    readonly store: 'cookie' | 'memory' | 'redis';
    /** Sessions that `store: memory` keeps at most. */
    readonly maxSessions: number;
  };
  /** Who renews a session and hears of sign-outs: this process alone, or all that share a Redis. */
  readonly coordination: 'process' | 'redis';
  /** Whether sessions are refused while sign-outs elsewhere cannot be known. */
  readonly revocations: 'best-effort' | 'required';
  /** Present where sessions or coordination use it. */
  readonly redis?: RedisSettings;
  readonly streams: {
    /** Whether what a bearer token opened ends when the token expires. */
    readonly endAtExpiry: boolean;
  };
  readonly decisionCache: {
    readonly maxAgeMs: Millis;
    readonly maxEntries: number;
    readonly maxBytes: number;
    /** What an outside cache (nginx) may keep an allow for. */
    readonly outsideMs: Millis;
  };
  readonly identityHeaders: {
    /** Prefixes of request headers stripped besides the built-in ones; lower case. */
    readonly strip: readonly string[];
    /** Claims shown as `X-User-Claim-<name>` headers. */
    readonly claims: readonly string[];
  };
  /** Present where an upstream is sent its token. */
  readonly serviceApp?: ServiceApp;
  readonly upstreams: Readonly<Record<string, Upstream>>;
  readonly routes: readonly RouteSetting[];
  /** Digests of the PEM files that the settings name, by their paths: a change of one is a change of settings. */
  readonly pemFiles: Readonly<Record<string, string>>;
}

/** What a client of a provider proves itself by. */
export interface ClientSecret {
  readonly clientSecret: Secret;
  /** Tried where the provider refuses that one, while it changes from one to the other. */
  readonly otherClientSecret?: Secret;
}

export interface ServiceApp extends ClientSecret {
  readonly clientId: string;
  /** Absent: where the metadata of the access tokens' issuer says. */
  readonly tokenUrl?: string;
  readonly scopes: readonly string[];
  /** Absent: the provider's own choice. */
  readonly audience?: string;
  readonly refreshWindowMs: Millis;
}

/** An issuer of access tokens besides the first. */
export interface AdditionalIssuer {
  /** Exactly as tokens name it. */
  readonly issuer: string;
  /** At least one. */
  readonly audiences: readonly string[];
  readonly requiredScope: string;
  /** Where its keys are; absent: its metadata says so. */
  readonly jwksUrl?: string;
  readonly metadataUrl?: string;
}

export interface Address {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
}

export interface RedisAddress extends Address {
  readonly isTls: boolean;
}

export interface RedisSettings {
  /** The primary itself, or sentinels that know it by a name. */
  readonly at:
    | { readonly kind: 'primary'; readonly address: RedisAddress }
    | { readonly kind: 'sentinel'; readonly name: string; readonly addresses: readonly RedisAddress[] };
  readonly database: number;
  readonly username?: string;
  readonly password?: Secret;
  readonly sentinelPassword?: Secret;
  readonly tls: {
    /** PEM, instead of the system's. */
    readonly caFile?: string;
    readonly clientCertificate?: { readonly certFile: string; readonly keyFile: string };
    readonly serverName?: string;
  };
  readonly keyPrefix: string;
  readonly connectTimeoutMs: Millis;
  readonly commandTimeoutMs: Millis;
}

export interface CookieKey {
  readonly hash: Secret<Uint8Array>;
  readonly block: Secret<Uint8Array>;
}

export interface Upstream {
  readonly name: string;
  /** http: HTTP/1.1, and cleartext h2 for gRPC callers; h2c: always h2; https and h2 likewise over TLS. */
  readonly protocol: 'http' | 'https' | 'h2c' | 'h2';
  /** 1 to 64 places, each once. Names are looked up again and again. */
  readonly targets: readonly Address[];
  /** Between two look-ups of a name. */
  readonly resolveIntervalMs: Millis;
  readonly connectTimeoutMs: Millis;
  /** From the end of the request to the head of the answer; unary calls and pages. Streams, once begun, have no limit. */
  readonly headersTimeoutMs: Millis;
  /** How long a connection without requests is kept. */
  readonly idleTimeoutMs: Millis;
  /** Silence after which an HTTP/2 connection with streams open is asked for a sign of life. */
  readonly pingIntervalMs: Millis;
  /** How long that sign of life may take. */
  readonly pingTimeoutMs: Millis;
  /** In use at once, to all targets together. */
  readonly maxConnections: number;
  /** Host said to the upstream; absent: the request's own, byte for byte. */
  readonly hostHeader?: string;
  /** How it is told who is asking; none: it is not told. */
  readonly identityHeaders: readonly IdentityMode[];
  readonly upstreamAuthorization: UpstreamAuthorization;
  /** Present: Proxy-Authorization goes on as it came, proved by nobody. */
  readonly passesProxyAuthorization?: true;
  /** PEM, in addition to the system's. */
  readonly caFile?: string;
  /** PEM, what the gateway proves itself by; both files or none. */
  readonly clientCertificate?: { readonly certFile: string; readonly keyFile: string };
  /** Whose certificate convinces and who is asked for, instead of the target's host. */
  readonly serverName?: string;
}

export interface RouteSetting {
  /** Exact, or `*.example.com`; absent: every host. Lower case, without port. */
  readonly host?: string;
  /** Prefix on segment borders, beginning with `/`. */
  readonly path: string;
  readonly upstream: string;
  /** nobody: refused as a path that no route has. */
  readonly access: 'public' | 'authenticated' | 'nobody';
  /** Of a request body; absent: no limit. */
  readonly maxBodyBytes?: number;
}
