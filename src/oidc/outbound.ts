import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import type { Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';

/** No answer of a provider may be longer; a 64 KiB ID token and a JWKS of a hundred keys fit many times. */
export const longestAnswer = 1024 * 1024;

export interface OutboundRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the time for one exchange, so much is used up already. */
  readonly spentMs?: Millis;
  /** Fields of the answer to keep besides `content-type`, in lower case; of one that came twice nothing is kept. */
  readonly keep?: readonly string[];
}

/** The one way in which the gateway speaks to identity providers. */
export interface Outbound {
  /**
   * Sends one request and reads the whole answer. Redirects are not followed: a 3xx is an answer like any other. Of the
   * answer's fields only `content-type` is kept, and what `keep` names.
   * @throws {Failure} `issuer_unreachable`: refused by `allows`, no connection, too late or too long; its message names
   * the origin and the error's code, never anything that was sent or received
   */
  fetch(url: string, sent?: OutboundRequest): Promise<Response>;
  /**
   * Whether a URL may be spoken to: https, or http on loopback, or http anywhere when the settings say so.
   * @param namedBy the address of the document that names this URL: one that came by https names no http on loopback
   */
  allows(url: string, namedBy?: string): boolean;
  close(): Promise<void>;
}

/**
 * @param settings.timeoutMs    for one exchange, from connecting to the last byte
 * @param settings.httpProxyURL outbound proxy: https goes through CONNECT, http by absolute-form
 * @param settings.caFile       PEM, believed in addition to Node's own
 * @param settings.allowHttp    whether http is allowed beyond loopback
 * @throws {Failure} `config_invalid` when `caFile` cannot be read
 */
export function createOutbound(settings: {
  timeoutMs: Millis;
  httpProxyURL?: string;
  caFile?: string;
  allowHttp: boolean;
}): Outbound {
  const dispatcher = createDispatcher(settings);
  const allows = (url: string, namedBy?: string) => isAllowed(url, settings.allowHttp, namedBy);
  return {
    allows,
    fetch: async (url, sent = {}) => {
      if (!allows(url)) throw new Failure('issuer_unreachable', `${originOf(url)} is not spoken to without TLS`);
      const timeoutMs = Math.max(1, settings.timeoutMs - Math.max(0, sent.spentMs ?? 0));
      return exchange(dispatcher, { url, sent, timeoutMs });
    },
    close: () => dispatcher.close(),
  };
}

function createDispatcher(settings: { timeoutMs: Millis; httpProxyURL?: string; caFile?: string }): Dispatcher {
  const ca = settings.caFile === undefined ? {} : { ca: [...getCACertificates('default'), readCa(settings.caFile)] };
  const pool = {
    connections: 64,
    headersTimeout: settings.timeoutMs,
    bodyTimeout: settings.timeoutMs,
  };
  if (settings.httpProxyURL === undefined) {
    return new Agent({ ...pool, connect: { ...ca, timeout: settings.timeoutMs } });
  }
  return new ProxyAgent({
    ...pool,
    uri: settings.httpProxyURL,
    requestTls: ca,
    proxyTls: ca,
    connectTimeout: settings.timeoutMs,
  });
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('config_invalid', `the CA file ${file} cannot be read`, { cause });
  }
}

function isAllowed(url: string, allowHttp: boolean, namedBy?: string): boolean {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.username + parsed.password !== '') return false;
  if (parsed.protocol === 'https:') return true;
  if (parsed.protocol !== 'http:') return false;
  // An issuer far away must not steer requests to whatever listens on this machine.
  const isNamedFromAfar = namedBy !== undefined && URL.parse(namedBy)?.protocol !== 'http:';
  return allowHttp || (isLoopback(parsed.hostname) && !isNamedFromAfar);
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(?:\.\d+){3}$/.test(hostname)
  );
}

async function exchange(
  dispatcher: Dispatcher,
  { url, sent, timeoutMs }: { url: string; sent: OutboundRequest; timeoutMs: Millis },
): Promise<Response> {
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new Failure('issuer_unreachable', `no answer in ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const answer = await request(url, {
      dispatcher,
      method: sent.method ?? 'GET',
      headers: { accept: 'application/json', 'user-agent': 'flytegate', ...sent.headers },
      body: bodyOf(sent.body),
      signal: deadline.signal,
    });
    const body = await readBounded(answer.body);
    const kept = ['content-type', ...(sent.keep ?? [])].flatMap((name): [string, string][] => {
      const value = answer.headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    });
    const hasBody = ![204, 205, 304].includes(answer.statusCode);
    return new Response(hasBody ? body : null, {
      status: answer.statusCode,
      headers: kept,
    });
  } catch (error) {
    throw new Failure('issuer_unreachable', `${originOf(url)} did not answer as it should: ${nameOf(error)}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function bodyOf(body: unknown): string | null {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('only forms and strings are sent to a provider');
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop destroys the stream and with it the connection: nobody reads the rest.
    if (size > longestAnswer) throw new Failure('issuer_unreachable', `its answer is over ${longestAnswer} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function nameOf(error: unknown): string {
  if (error instanceof Failure) return error.message;
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? 'an address that is no URL';
}
