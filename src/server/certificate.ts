import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { Failure } from '../failure.ts';
import type { Certificate } from './shared-port.ts';

/**
 * Reads the certificate of the public port and its private key.
 * @throws {Failure} `config_invalid` when a file cannot be read, or OpenSSL cannot use them together
 */
export async function readCertificate(files: { certFile: string; keyFile: string }): Promise<Certificate> {
  try {
    const certificate = { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
    createSecureContext(certificate);
    return certificate;
  } catch (cause) {
    const message = `server.tls: TLS cannot be spoken with ${files.certFile} and ${files.keyFile}`;
    throw new Failure('config_invalid', message, { cause });
  }
}
