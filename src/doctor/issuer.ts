import type { Clock } from '../config/units.ts';
import { Failure } from '../failure.ts';
import { discover, metadataUrls } from '../oidc/discovery.ts';
import type { Outbound } from '../oidc/outbound.ts';
import type { ProviderMetadata } from '../oidc/provider.ts';
import { errorCode, shortly } from './error-code.ts';
import { type Finding, ok, problem, unknown, warning } from './finding.ts';
import { remedyOfTls } from './judge-certificate.ts';
import { judgeClock, judgeIssuer } from './judge-metadata.ts';

/** An issuer as the settings name it. */
export interface IssuerPlace {
  readonly baseUrl: string;
  /** What it must call itself. */
  readonly issuer: string;
  readonly metadataUrl?: string;
  /** The setting that has it. */
  readonly setting: string;
}

export type Met =
  | { readonly kind: 'met'; readonly metadata: ProviderMetadata }
  | { readonly kind: 'not-met'; readonly finding: Finding };

interface Asking {
  readonly outbound: Outbound;
  readonly now: Clock;
}

/** Asks an issuer who it is, once. Never throws. */
export async function meetIssuer(place: IssuerPlace, { outbound }: Asking): Promise<Met> {
  try {
    return { kind: 'met', metadata: await discover({ ...place, outbound }) };
  } catch (error) {
    const { issuer, setting } = place;
    const tls = remedyOfTls(errorCode(error) ?? '');
    const finding = tls
      ? problem('metadata', `${issuer} cannot be spoken to by TLS: ${shortly(error)}`, `${tls} (auth.caFile)`)
      : judgeIssuer({ issuer, setting, named: await issuerNamedAt(place, outbound), why: why(error) });
    return { kind: 'not-met', finding };
  }
}

function why(error: unknown): string {
  // What a Failure says is meant for operators; no secret was sent to get it.
  return error instanceof Failure ? error.message : shortly(error);
}

/** What the document there calls its issuer, whatever the settings expect. */
async function issuerNamedAt({ baseUrl, metadataUrl }: IssuerPlace, outbound: Outbound): Promise<string | undefined> {
  try {
    const [url = baseUrl] = metadataUrls(baseUrl, metadataUrl);
    const document: unknown = await (await outbound.fetch(url)).json();
    const isNamed = typeof document === 'object' && document !== null && 'issuer' in document;
    return isNamed && typeof document.issuer === 'string' ? document.issuer : undefined;
  } catch {
    // Safe: what could not be read names nobody, and why the first try failed is told anyway.
    return undefined;
  }
}

/** Whether the keys are to be had, and the time that the answer says. */
export async function checkKeys(
  { issuer, jwks_uri: url }: Pick<ProviderMetadata, 'issuer' | 'jwks_uri'>,
  { outbound, now }: Asking,
): Promise<readonly Finding[]> {
  const whose = `the keys of ${issuer}`;
  if (url === undefined)
    return [problem('keys', `${whose} are nowhere: the metadata names no jwks_uri`, 'set jwksUrl')];
  const sentAt = now();
  try {
    const answer = await outbound.fetch(url, { keep: ['date'] });
    const clock = judgeClock(answer.headers.get('date') ?? undefined, { sentAt, answeredAt: now() });
    return [judgeKeys(whose, answer.status, await jsonOf(answer)), clock];
  } catch (error) {
    const remedy = remedyOfTls(errorCode(error) ?? '') ?? `let this machine reach ${url}, by auth.httpProxyURL for one`;
    return [
      problem('keys', `${whose} cannot be fetched from ${url}: ${shortly(error)}`, remedy),
      unknown('clock', 'the issuer did not answer', 'ask again once its keys can be fetched'),
    ];
  }
}

async function jsonOf(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch {
    // Safe: what is no JSON is no key set either.
    return undefined;
  }
}

/** Whether an answer is a JWK set with keys that can sign (RFC 7517 §5). Pure. */
export function judgeKeys(whose: string, status: number, document: unknown): Finding {
  if (status !== 200)
    return problem(
      'keys',
      `${whose}: the address answered ${status}`,
      'compare jwks_uri with what the provider documents',
    );
  const listed: unknown =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined;
  if (!Array.isArray(listed))
    return problem(
      'keys',
      `${whose}: what came is no JWK set`,
      'something in front of the provider answers in its place',
    );
  const signing = listed.filter((key: unknown) => isSigningKey(key));
  if (signing.length === 0)
    return problem(
      'keys',
      `${whose}: none of ${listed.length} is an asymmetric signing key`,
      'have tokens signed with RS256 or ES256',
    );
  if (signing.some((key: unknown) => !hasKid(key)) && signing.length > 1)
    return warning(
      'keys',
      `${whose}: ${signing.length} keys, some without kid`,
      'tokens without kid are tried with each of at most eight',
    );
  return ok('keys', `${whose}: ${signing.length} to verify with`);
}

function isSigningKey(key: unknown): boolean {
  if (typeof key !== 'object' || key === null) return false;
  const use = 'use' in key ? key.use : undefined;
  return 'kty' in key && key.kty !== 'oct' && (use === undefined || use === 'sig');
}

function hasKid(key: unknown): boolean {
  return typeof key === 'object' && key !== null && 'kid' in key && typeof key.kid === 'string';
}
