import type { Exchange } from '../server/exchange.ts';
import type { Over } from './cut.ts';
import type { Life } from './under-way.ts';

/** What the gateway tells an upstream besides the request itself. */
export interface ForwardPlan {
  /** Name of the upstream in the settings. */
  readonly upstream: string;
  /** Identity headers to set after every look-alike is gone: flat name, value …; values are latin1 strings of UTF-8 bytes. */
  readonly identity: readonly string[];
  /**
   * The token that was proved; undefined when none was. Of the credential headers only those that carry exactly this one
   * go on.
   */
  readonly bearer: string | undefined;
  /** Sent as `Authorization: Bearer …` in place of whatever came in that field. */
  readonly authorization?: string | undefined;
  /** Nobody was asked who they are: such requests share a small part of the upstream's connections. */
  readonly isPublic: boolean;
  /** By what right it goes on; undefined: nothing but its own end ends it. */
  readonly life?: Life | undefined;
  /** Of the request body; undefined: no limit. */
  readonly maxBodyBytes: number | undefined;
  /** Sent to the caller with the head of the answer: the renewed session cookie as one whole Set-Cookie value. */
  readonly setCookie?: string;
  /** What the upstream hears as Host where its settings rewrite it; set by the forwarder. */
  readonly upstreamHost?: string;
  /** Whether Proxy-Authorization goes on as it came, where its settings ask for it; set by the forwarder. */
  readonly passesProxyAuthorization?: boolean;
  /**
   * Client address, scheme and host for X-Forwarded-*; worked out by `server/origin.ts`. The host is the one that chose the
   * route, so the upstream hears it as Host, too. What a trusted proxy calls the request goes on as X-Request-ID; without
   * that it is our reference.
   */
  readonly client: {
    readonly address: string;
    readonly scheme: 'http' | 'https';
    readonly host: string;
    readonly requestId?: string;
  };
}

/** How a forwarded request ended. Nothing was sent to the caller when `failed`: the reply is still ours to make. */
export type Forwarded =
  | { readonly kind: 'answered'; readonly status: number; readonly bytes: number; readonly complete: boolean }
  | {
      readonly kind: 'failed';
      readonly code:
        | 'upstream_unreachable'
        | 'upstream_timeout'
        | 'upstream_broken'
        | 'shutting_down'
        | 'body_too_large'
        | Over;
      readonly cause: unknown;
    }
  | { readonly kind: 'abandoned' }; // the caller went away first

/**
 * Passes one request on; settles when the exchange with the caller is over. Rejects for our own mistakes.
 * @throws {Failure} `method_refused` for CONNECT and TRACE, `internal` for an upstream that the settings don't have
 */
export type Forward = (exchange: Exchange, plan: ForwardPlan) => Promise<Forwarded>;
