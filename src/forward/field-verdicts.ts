/** What the settings say about header fields. */
export interface HeaderRules {
  /** Whether an upstream could take the field for an identity, however it is spelt. */
  readonly isIdentityHeader: (name: string) => boolean;
  readonly isOurCookie: (name: string) => boolean;
  /** Configured credential headers besides `authorization`, lower case. */
  readonly flyteHeaders: readonly string[];
}

/** What happens to a request field of some name. */
export type Verdict =
  | 'keep'
  | 'drop'
  | 'host'
  | 'length'
  | 'chunked'
  | 'connection'
  | 'te'
  | 'trailer'
  | 'upgrade'
  | 'cookie'
  | 'bearer'
  | 'proxy-credential';

export interface Verdicts {
  /** The verdict on a request field. @param name as sent, in any case */
  of(name: string): Verdict;
  /** The verdict on a field of an answer: nobody's identity is at stake there, only the framing. */
  ofAnswer(name: string): 'keep' | 'drop' | 'length' | 'set-cookie';
  /** Whether `Connection` may not remove it: intended for every recipient, or the message's framing (RFC 9110 §7.6.1). */
  isEssential(name: string): boolean;
}

const OF_NAME: ReadonlyMap<string, Verdict> = new Map([
  ['host', 'host'],
  ['content-length', 'length'],
  ['transfer-encoding', 'chunked'],
  ['connection', 'connection'],
  ['te', 'te'],
  ['trailer', 'trailer'],
  ['upgrade', 'upgrade'],
  ['cookie', 'cookie'],
  ['authorization', 'bearer'],
  ['keep-alive', 'drop'],
  ['proxy-connection', 'drop'],
  ['proxy-authorization', 'proxy-credential'],
  ['http2-settings', 'drop'],
  ['expect', 'drop'],
  // nginx's auth_request examples pass a renewed session on as a *request* header.
  ['set-cookie', 'drop'],
  ['forwarded', 'drop'],
  ['x-real-ip', 'drop'],
  ['x-request-id', 'drop'],
]);

/** Only a proxy that is trusted may say these, and then we say them ourselves. */
const PREFIXES_OF_PROXIES = ['x-forwarded', 'x-original-', 'x-auth-request-'];

const DROPPED_FROM_ANSWERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'upgrade',
  'http2-settings',
]);

const ESSENTIAL = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'transfer-encoding',
  'te',
  'upgrade',
  'authorization',
  'cookie',
  'set-cookie',
  'origin',
  'range',
  'location',
  'cache-control',
  'date',
  'www-authenticate',
]);

const MEMORY = 1024;
const LONGEST_REMEMBERED = 64;

/** Verdicts by name, remembered: the same few hundred names come in every request. */
export function createVerdicts(rules: HeaderRules): Verdicts {
  const flyte = new Set(rules.flyteHeaders);
  const isEssential = (name: string) => ESSENTIAL.has(name.toLowerCase()) || flyte.has(name.toLowerCase());
  return {
    of: remembered((name) => judge(rules, flyte, name)),
    ofAnswer: remembered(judgeAnswer),
    isEssential,
  };
}

function judge(rules: HeaderRules, flyte: ReadonlySet<string>, name: string): Verdict {
  const lower = name.toLowerCase();
  // CGI, WSGI and their kin read `X_Auth_Request_User` and `X.Auth.Request.User` as they read the hyphens.
  const hyphenated = lower.replace(/[^a-z0-9]/g, '-');
  if (rules.isIdentityHeader(lower) || rules.isIdentityHeader(hyphenated)) return 'drop';
  if (PREFIXES_OF_PROXIES.some((prefix) => hyphenated.startsWith(prefix))) return 'drop';
  const verdict = flyte.has(lower) ? 'bearer' : OF_NAME.get(lower);
  if (verdict !== undefined) return verdict;
  // A second spelling of a field that means something here has no honest use.
  return hyphenated !== lower && (flyte.has(hyphenated) || OF_NAME.has(hyphenated)) ? 'drop' : 'keep';
}

function judgeAnswer(name: string): 'keep' | 'drop' | 'length' | 'set-cookie' {
  const lower = name.toLowerCase();
  if (lower === 'set-cookie') return 'set-cookie';
  if (lower === 'content-length') return 'length';
  return DROPPED_FROM_ANSWERS.has(lower) || lower.startsWith(':') ? 'drop' : 'keep';
}

/** Bounded by starting over: names that an attacker makes up cost a judgement each, not memory. */
function remembered<V>(judgeName: (name: string) => V): (name: string) => V {
  const known = new Map<string, V>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const verdict = judgeName(name);
    if (name.length > LONGEST_REMEMBERED) return verdict;
    if (known.size >= MEMORY) known.clear();
    known.set(name, verdict);
    return verdict;
  };
}
