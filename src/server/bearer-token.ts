/** Longer ones would be refused by services for the size of their head. */
const LONGEST = 8192;

/** Whether a token can be sent as `Bearer …` (RFC 6750 §2.1), and is at most 8 KiB. */
export function isBearerToken(text: string): boolean {
  return text.length <= LONGEST && /^[A-Za-z0-9\-._~+/]+=*$/.test(text);
}
