import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Secret } from '../config/secret.ts';
import { Failure } from '../failure.ts';

interface SigningKey {
  readonly privateKey: KeyObject;
  readonly alg: 'ES256' | 'EdDSA';
  /** RFC 7638 thumbprint: the same key has the same name in every process. */
  readonly kid: string;
}

export interface AssertionKeys {
  /** The key that signs. @throws {Failure} `internal` when there is none */
  first(): SigningKey;
  /** The public halves of all keys, as a JWK set (RFC 7517 §5). */
  readonly jwks: { readonly keys: readonly Readonly<JsonWebKey>[] };
}

/** @param pems PKCS#8, each an EC key on P-256 or an Ed25519 key; the first signs, all are published */
export function createAssertionKeys(pems: readonly Secret[]): AssertionKeys {
  const keys = pems.map((pem) => readKey(createPrivateKey(pem.reveal())));
  return {
    first: () => {
      const [key] = keys;
      if (!key) throw new Failure('internal', 'there is no key to sign assertions with');
      return key;
    },
    jwks: { keys: keys.map(({ published }) => published) },
  };
}

function readKey(privateKey: KeyObject): SigningKey & { readonly published: Readonly<JsonWebKey> } {
  const { kty = '', crv = '', x = '', y } = createPublicKey(privateKey).export({ format: 'jwk' });
  const shape = { kty, crv, x, ...(y !== undefined && { y }) };
  const alg = kty === 'OKP' ? 'EdDSA' : 'ES256';
  // RFC 7638 §3.2: the required members only, in the order of their names.
  const required = JSON.stringify({ crv, kty, x, ...(y !== undefined && { y }) });
  const kid = createHash('sha256').update(required).digest('base64url');
  return { privateKey, alg, kid, published: { ...shape, kid, alg, use: 'sig' } };
}
