import { createPrivateKey, X509Certificate } from 'node:crypto';

/** What a PEM file is to hold: certificates, the own one first, or the private key of one. */
export type PemKind = 'certificate' | 'key';

const blocks = {
  certificate: /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g,
  key: /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[^-]*-----END \1PRIVATE KEY-----/g,
} as const;

/** What keeps a text from being used (RFC 7468), without a word of it; undefined when nothing does. */
export function faultOfPem(text: string, kind: PemKind): string | undefined {
  const found = text.match(blocks[kind]) ?? [];
  if (found.length === 0) return 'a file without one';
  // OpenSSL ends its reading in silence at the first one that it cannot read, and believes what came before.
  const at = found.findIndex((pem) => !isReadable(pem, kind));
  if (at === -1) return undefined;
  return kind === 'key' ? 'one that cannot be read, or has a password' : `one that cannot be read, as number ${at + 1}`;
}

/** Whether a private key is that of the first certificate; both are readable. */
export function doFit(certificates: string, key: string): boolean {
  return new X509Certificate(certificates).checkPrivateKey(createPrivateKey(key));
}

function isReadable(pem: string, kind: PemKind): boolean {
  try {
    if (kind === 'certificate') new X509Certificate(pem);
    else createPrivateKey(pem);
    return true;
  } catch {
    // Safe: what could not be read is told as such; OpenSSL's reasons could hold a part of it.
    return false;
  }
}
