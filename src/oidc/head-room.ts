/**
 * Bytes that `Location` and `Set-Cookie` may take in one answer: nginx gives up on a head over 4 KiB, we keep to 3.5, and
 * the fields of every answer (Content-Security-Policy, Date …) take the rest.
 */
const room = 3100;

/** Whether these fields fit beside the others in the head of one answer. */
export function fitsHead(cookies: readonly string[], location = ''): boolean {
  const lines = [...cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`), location && `Location: ${location}\r\n`];
  return lines.reduce((sum, line) => sum + line.length, 0) <= room;
}
