import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type CheckName, type Finding, ok, problem, warning } from './finding.ts';

const DAY_MS = 86_400_000;
/** Those that renew by themselves have done so by then. */
const SOON_DAYS = 14;

/**
 * Whether a certificate is good for a host today, whoever issued it.
 *
 * @param of.where it came from, to begin the sentence with
 * @param of.now   milliseconds since the epoch
 */
export function judgeCertificate(
  certificate: Pick<X509Certificate, 'validFrom' | 'validTo' | 'subjectAltName' | 'checkHost' | 'checkIP'>,
  of: { check: CheckName; where: string; host: string; now: number },
): Finding {
  const { check, where, host, now } = of;
  const bare = host.replace(/^\[|\]$/g, '');
  const named = isIP(bare) === 0 ? certificate.checkHost(bare) : certificate.checkIP(bare);
  const until = Date.parse(certificate.validTo);
  if (named === undefined)
    return problem(
      check,
      `${where} is for ${certificate.subjectAltName ?? 'no name at all'}, not for ${host}`,
      `have one made with ${host} among its names`,
    );
  if (until <= now) return problem(check, `${where} ran out on ${certificate.validTo}`, 'renew it');
  if (Date.parse(certificate.validFrom) > now)
    return problem(check, `${where} is not valid before ${certificate.validFrom}`, 'compare the clocks');
  const days = Math.floor((until - now) / DAY_MS);
  if (days < SOON_DAYS) return warning(check, `${where} runs out in ${days} days`, 'renew it');
  return ok(check, `${where} names ${host} and is valid for ${days} days`);
}

/** What a failed handshake comes from, by the code of its error (OpenSSL's and Node's names); undefined for any other. */
export function remedyOfTls(code: string): string | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has run out: renew it';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet: compare the clocks';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for other names: use one of those, or set serverName';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
      return 'nobody here knows who issued its certificate: name the CA in caFile, or have the whole chain sent';
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'it does not speak TLS there: another port, or a URL without TLS';
    default:
      return undefined;
  }
}
