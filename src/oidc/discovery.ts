import { Failure } from '../failure.ts';
import type { Outbound } from './outbound.ts';

/** An identity provider as its metadata describes it (OpenID Connect Discovery §3, RFC 8414 §2). */
export interface ProviderMetadata {
  readonly issuer: string;
  readonly authorization_endpoint?: string;
  readonly token_endpoint?: string;
  readonly userinfo_endpoint?: string;
  readonly jwks_uri?: string;
  readonly end_session_endpoint?: string;
  readonly revocation_endpoint?: string;
  readonly introspection_endpoint?: string;
  readonly authorization_response_iss_parameter_supported?: boolean;
  readonly [name: string]: unknown;
}

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
] as const;

/**
 * Asks an issuer for its metadata once.
 *
 * @param needs.baseUrl     where the issuer is reached: usually the issuer itself
 * @param needs.issuer      what the metadata must call its issuer, to the last slash
 * @param needs.metadataUrl the document's address, when it is at no well-known place; may be relative to `baseUrl`
 * @throws {Failure} `issuer_unreachable`: no answer, another issuer, or an endpoint that must not be spoken to
 * @see OpenID Connect Discovery 1.0 §4, RFC 8414 §3
 */
export async function discover(needs: {
  baseUrl: string;
  issuer: string;
  metadataUrl?: string;
  outbound: Outbound;
}): Promise<ProviderMetadata> {
  let status = 0;
  for (const url of metadataUrls(needs.baseUrl, needs.metadataUrl)) {
    const answer = await needs.outbound.fetch(url);
    if (answer.status === 200) return checked(await jsonOf(answer), { ...needs, url });
    status = answer.status;
    // Only "there is no such document" is a reason to look in the next place; an outage is an outage.
    if (status < 400 || status >= 500 || status === 429) break;
  }
  throw new Failure('issuer_unreachable', `${needs.baseUrl} has no metadata: it answered ${status}`);
}

/** The places to look in, in order. A slash that ends the issuer is dropped before the suffix is added, and only there. */
export function metadataUrls(baseUrl: string, metadataUrl?: string): readonly string[] {
  const base = baseUrl.replace(/\/$/, '');
  if (metadataUrl !== undefined) {
    const url = URL.parse(metadataUrl, `${base}/`);
    if (!url) throw new Failure('issuer_unreachable', 'the metadata URL is no URL');
    return [url.href];
  }
  const parsed = URL.parse(base);
  if (!parsed) throw new Failure('issuer_unreachable', 'the base URL is no URL');
  const path = parsed.pathname.replace(/\/$/, '');
  return [
    ...new Set([
      `${base}/.well-known/openid-configuration`,
      `${parsed.origin}/.well-known/oauth-authorization-server${path}`,
      `${base}/.well-known/oauth-authorization-server`,
    ]),
  ];
}

async function jsonOf(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch (cause) {
    throw new Failure('issuer_unreachable', 'the metadata is not JSON', { cause });
  }
}

/** @param needs.url where the document came from */
function checked(document: unknown, needs: { issuer: string; outbound: Outbound; url: string }): ProviderMetadata {
  if (!isMetadata(document)) throw new Failure('issuer_unreachable', 'the metadata is no object with an issuer');
  if (document.issuer !== needs.issuer) {
    const named = JSON.stringify(document.issuer.slice(0, 200));
    throw new Failure(
      'issuer_unreachable',
      `the metadata names the issuer ${named}, the settings ${JSON.stringify(needs.issuer)}`,
    );
  }
  for (const name of endpoints) {
    const url = document[name];
    if (url === undefined) continue;
    if (typeof url !== 'string' || !needs.outbound.allows(url, needs.url)) {
      throw new Failure('issuer_unreachable', `the metadata's ${name} is not an address that may be spoken to`);
    }
  }
  return Object.freeze(document);
}

function isMetadata(document: unknown): document is ProviderMetadata {
  return (
    typeof document === 'object' && document !== null && 'issuer' in document && typeof document.issuer === 'string'
  );
}
