import { serializeCookie } from '../server/cookie.ts';

/** The gateway's cookies. What is set or cleared comes as one whole Set-Cookie value. */
export interface Cookies {
  readonly sessionName: string;
  setSession(value: string, maxAgeS: number): string;
  clearSession(): string;
  /** What the name of every login cookie begins with; the rest tells the tabs of one browser apart. */
  readonly loginPrefix: string;
  /** Ten minutes, for this host only, always Lax: under Strict it would not come back from the provider. */
  setLogin(suffix: string, value: string): string;
  clearLogin(suffix: string): string;
  /** The ID token, kept for `/logout` and sent nowhere else. */
  readonly idTokenName: string;
  setIdToken(value: string, maxAgeS: number): string;
  clearIdToken(): string;
  /** Whether a cookie is the gateway's own, under these settings or others: such a cookie is never forwarded. */
  isOurs(name: string): boolean;
}

const LOGIN_MAX_AGE_S = 600;

/**
 * Names are prefixed with `__Host-` and `__Secure-` where browsers allow it: with Secure on and no domain (RFC 6265bis
 * §4.1.3). A login begins and ends on one host, so its cookie has no domain and needs only Secure. All are HttpOnly.
 */
export function createCookies(settings: {
  sameSite: 'lax' | 'strict' | 'none';
  domain?: string;
  secure: boolean;
}): Cookies {
  const { sameSite, domain, secure } = settings;
  const isPrefixed = secure && domain === undefined;
  const host = isPrefixed ? '__Host-' : '';
  const sessionName = `${host}flytegate`;
  // A login cookie with a domain could be planted from a sibling host, and a victim signed in as the attacker.
  const loginPrefix = `${secure ? '__Host-' : ''}flytegate-login-`;
  const idTokenName = `${isPrefixed ? '__Secure-' : ''}flytegate-idt`;
  const shared = { secure, ...(domain === undefined ? {} : { domain }) };
  const session = { ...shared, sameSite, path: '/' };
  const login = { secure, sameSite: 'lax', path: '/' } as const;
  const idToken = { ...shared, sameSite, path: '/logout' };
  return {
    sessionName,
    setSession: (value, maxAgeS) => serializeCookie(sessionName, value, { ...session, maxAgeS }),
    clearSession: () => serializeCookie(sessionName, '', { ...session, maxAgeS: 0 }),
    loginPrefix,
    setLogin: (suffix, value) => serializeCookie(loginPrefix + suffix, value, { ...login, maxAgeS: LOGIN_MAX_AGE_S }),
    clearLogin: (suffix) => serializeCookie(loginPrefix + suffix, '', { ...login, maxAgeS: 0 }),
    idTokenName,
    setIdToken: (value, maxAgeS) => serializeCookie(idTokenName, value, { ...idToken, maxAgeS }),
    clearIdToken: () => serializeCookie(idTokenName, '', { ...idToken, maxAgeS: 0 }),
    isOurs: isOurCookie,
  };
}

// All spellings, not only the configured one: after a change of settings browsers still hold the old cookies, and a
// refresh token is sealed inside.
function isOurCookie(name: string): boolean {
  const bare = name.replace(/^__(?:Host|Secure)-/, '');
  return bare === 'flytegate' || bare === 'flytegate-idt' || bare.startsWith('flytegate-login-');
}
