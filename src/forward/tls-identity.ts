import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Upstream } from '../config/config.ts';
import { Failure } from '../failure.ts';

/**
 * Whom one upstream trusts us to be, and whom we trust there: read once, and never shared with another upstream.
 *
 * @returns undefined for a cleartext upstream
 * @throws {Failure} `config_invalid` when a file cannot be read, or holds no certificate or key that fit
 */
export function createTlsIdentity(upstream: Upstream): SecureContext | undefined {
  if (upstream.protocol === 'http' || upstream.protocol === 'h2c') return undefined;
  const { name, caFile, clientCertificate } = upstream;
  const ca = caFile === undefined ? {} : { ca: [...getCACertificates('default'), readPem(name, 'caFile', caFile)] };
  const own = clientCertificate && {
    cert: readPem(name, 'certFile', clientCertificate.certFile),
    key: readPem(name, 'keyFile', clientCertificate.keyFile),
  };
  try {
    return createSecureContext({ ...ca, ...own });
  } catch (cause) {
    const files = [caFile, clientCertificate?.certFile, clientCertificate?.keyFile].filter(Boolean).join(', ');
    throw new Failure('config_invalid', `upstreams.${name}: TLS cannot be spoken with ${files}`, { cause });
  }
}

function readPem(name: string, key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('config_invalid', `upstreams.${name}.${key}: ${file} cannot be read`, { cause });
  }
}
