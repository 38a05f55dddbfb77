/**
 * Whether a value names one host, with or without a port (RFC 3986 §3.2, without userinfo and percent-encoding): a DNS
 * name, an IPv4 address, or an IPv6 address in brackets; at most 255 characters.
 */
export function isAuthority(value: string): boolean {
  return value.length <= 255 && authority.test(value);
}

const authority = /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
