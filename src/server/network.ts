import { isIPv6 } from 'node:net';

/** An IPv4 address, also one written as IPv6, or the /64 of an IPv6 one: whoever has one of its addresses has them all. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [before = '', after] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const mapped = before === '' ? /^ffff:([\d.]+)$/.exec(after ?? '')?.[1] : undefined;
  if (mapped !== undefined) return mapped;
  const head = before === '' ? [] : before.split(':');
  if (after === undefined) return head.slice(0, 4).map(plain).join(':');
  const tail = after === '' ? [] : after.split(':').flatMap((group) => (group.includes('.') ? ['v4', 'v4'] : [group]));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).map(plain).join(':');
}

function plain(group: string): string {
  return group.replace(/^0+(?=.)/, '');
}
