import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { Config } from '../config/config.ts';
import type { Clock, Millis } from '../config/units.ts';
import { shortly } from './error-code.ts';
import { type Finding, ok, unknown } from './finding.ts';
import { judgeCertificate } from './judge-certificate.ts';

interface Needs {
  readonly config: Config;
  readonly now: Clock;
  readonly timeoutMs: Millis;
}

/** The certificate that browsers see: the gateway's own, or that of whatever ends TLS in front of it. Never throws. */
export async function checkCertificate(needs: Needs): Promise<Finding> {
  const { publicUrl, tls } = needs.config.server;
  try {
    if (tls) return await ofFiles(tls, needs);
    if (publicUrl.startsWith('https:')) return await ofFront(needs);
    return ok('certificate', 'none: the public URL is http');
  } catch (error) {
    return unknown('certificate', `none could be looked at: ${shortly(error)}`, 'ask again when what ends TLS runs');
  }
}

/** That its key is the right one was seen with the settings. */
async function ofFiles({ certFile }: { certFile: string }, { config, now }: Needs): Promise<Finding> {
  const certificate = new X509Certificate(await readFile(certFile));
  const { hostname: host } = new URL(config.server.publicUrl);
  return judgeCertificate(certificate, { check: 'certificate', where: certFile, host, now: now() });
}

async function ofFront({ config, now, timeoutMs }: Needs): Promise<Finding> {
  const { hostname, port } = new URL(config.server.publicUrl);
  const host = hostname.replace(/^\[|\]$/g, '');
  const certificate = await seen({ host, port: port === '' ? 443 : Number(port) }, timeoutMs);
  return judgeCertificate(certificate, {
    check: 'certificate',
    where: `what ${hostname} shows`,
    host: hostname,
    now: now(),
  });
}

function seen({ host, port }: { host: string; port: number }, timeoutMs: Millis): Promise<X509Certificate> {
  const name = isIP(host) === 0 ? { servername: host } : {};
  return new Promise((resolve, reject) => {
    // Only looked at, nothing is sent: whom it convinces is judged elsewhere.
    const socket = connect({ host, port, ...name, rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] });
    const timer = setTimeout(() => socket.destroy(new Error(`no handshake in ${timeoutMs} ms`)), timeoutMs);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate) resolve(certificate);
      else reject(new Error('no certificate was shown'));
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error('the connection closed'));
    });
  });
}
