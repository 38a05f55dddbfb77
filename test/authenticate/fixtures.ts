import {
  type CryptoKey,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTVerifyGetKey,
  SignJWT,
} from 'jose';
import { createAuthenticateToken } from '../../src/authenticate/jwt.ts';
import type { Facts, Log } from '../../src/observe/log.ts';
import { T0 } from '../session/fixtures.ts';

export const ISSUER = 'https://id.example.com/realms/flyte';
export const PUBLIC_URL = 'https://flyte.example.com';
export const NOW_S = T0 / 1000;

/** A log that remembers what was said. */
export function createRecordedLog() {
  const lines: { level: string; event: string; facts: Facts }[] = [];
  const at =
    (level: string) =>
    (event: string, facts: Facts = {}) =>
      void lines.push({ level, event, facts });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { log, lines };
}

/** An issuer with one RSA and one EC key, and a count of how often a key was asked for. */
export async function createIssuer(kids: { rsa?: string; ec?: string } = { rsa: 'rsa-1', ec: 'ec-1' }) {
  const rsa = await generateKeyPair('RS256', { extractable: true });
  const ec = await generateKeyPair('ES256', { extractable: true });
  const publish = async (key: CryptoKey, alg: string, kid: string | undefined): Promise<JWK> => ({
    ...(await exportJWK(key)),
    use: 'sig',
    alg,
    ...(kid === undefined ? {} : { kid }),
  });
  const rsaJwk = await publish(rsa.publicKey, 'RS256', kids.rsa);
  const ecJwk = await publish(ec.publicKey, 'ES256', kids.ec);
  const find = createLocalJWKSet({ keys: [rsaJwk, ecJwk] });
  let asked = 0;
  const keys: JWTVerifyGetKey = (header, token) => {
    asked++;
    return find(header, token);
  };
  const sign = (claims: object, header: object = {}) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'RS256', ...(kids.rsa === undefined ? {} : { kid: kids.rsa }), ...header })
      .sign(Object.assign({ alg: 'RS256' }, header).alg === 'ES256' ? ec.privateKey : rsa.privateKey);
  return { rsa, ec, rsaJwk, ecJwk, keys, sign, asked: () => asked };
}

export type Issuer = Awaited<ReturnType<typeof createIssuer>>;

/** The claims of a person's access token that is good for an hour. */
export function accessClaims(changes: object = {}): Record<string, unknown> {
  return {
    iss: ISSUER,
    sub: 'user-1',
    aud: PUBLIC_URL,
    client_id: 'flytectl',
    scope: 'openid all',
    iat: NOW_S,
    exp: NOW_S + 3600,
    ...changes,
  };
}

/** Claims without some of them. */
export function without(claims: Record<string, unknown>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

/** A proof of tokens against an issuer, at a moment. */
export function tokenProof(
  issuer: Pick<Issuer, 'keys'>,
  changes: Partial<Parameters<typeof createAuthenticateToken>[0]> = {},
) {
  return createAuthenticateToken({
    keys: issuer.keys,
    issuer: async () => ISSUER,
    authorizedUris: [PUBLIC_URL, 'http://flyteadmin'],
    allowedAudience: ['api://flyte'],
    identity: { trustUnverifiedEmail: false, claims: ['department'] },
    log: createRecordedLog().log,
    now: () => T0,
    ...changes,
  });
}

/** One base64url segment of a JSON value, or of a text as it is. */
export function segment(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}
