import { hash } from 'node:crypto';
import { type FailureCode, failureCodes } from '../failure.ts';
import type { Reply } from '../server/exchange.ts';

const style = `
:root{color-scheme:light dark}
body{font:16px/1.6 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:#f5f5f8;color:#1d1d28}
main{background:#fff;max-width:34rem;margin:1rem;padding:2rem 2.5rem;border-radius:12px;box-shadow:0 2px 24px #0001}
h1{font-size:1.4rem;margin:0 0 .6rem}p{margin:.6rem 0}
a.go,button{display:inline-block;margin-top:.8rem;font:inherit;padding:.5rem 1.2rem;border:0;border-radius:8px;background:#6d28d9;color:#fff;text-decoration:none;cursor:pointer}
button.small{margin:0;padding:.25rem .8rem;font-size:.9rem}button.plain{background:#0000;color:inherit;box-shadow:inset 0 0 0 1px #8888}
ul{list-style:none;margin:1.2rem 0;padding:0}li{display:flex;gap:1rem;align-items:center;justify-content:space-between;padding:.8rem 0;border-top:1px solid #8884}
li span{color:#62627a;font-size:.9rem;overflow-wrap:anywhere}li form{flex:none}mark{background:#6d28d922;color:inherit;border-radius:6px;padding:.1rem .5rem;font-size:.8rem;white-space:nowrap}
.aside{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
small{display:block;margin-top:1.6rem;color:#62627a}code{font-size:.9em;word-break:break-all}
@media(prefers-color-scheme:dark){body{background:#14141c;color:#ececf4}main{background:#20202c}small,li span{color:#a2a2b8}}
`;
const styleHash = hash('sha256', style, 'base64');

/** What a person can read and do, by what happened. Codes without words of their own get the general ones. */
const words: Partial<Record<FailureCode, { readonly title: string; readonly text: string; readonly hint: string }>> = {
  host_unknown: {
    title: 'This host is not served here',
    text: 'The gateway answers here, but not under the name you asked for.',
    hint: 'Open the site by its own address. If you run this gateway, the name must be among the authorized URIs.',
  },
  route_unknown: {
    title: 'Nothing is served here',
    text: 'The address does not belong to any service behind this gateway.',
    hint: 'Check the address for a typing mistake.',
  },
  target_refused: {
    title: 'This address is not passed on',
    text: 'It can be read in more than one way, so it is refused.',
    hint: 'Open the page by its plain address, without "..", double slashes or encoded slashes.',
  },
  redirect_refused: {
    title: 'That return address is not allowed',
    text: 'The link that brought you here wants to send you on to an address that does not belong to this site.',
    hint: 'Open the page you want directly. If you made the link, its host must be among the authorized URIs.',
  },
  login_state_missing: {
    title: 'This sign-in was started somewhere else, or too long ago',
    text: 'A sign-in must end within ten minutes in the browser it began in, with cookies allowed.',
    hint: 'Start again. If it keeps happening, allow cookies for this site.',
  },
  login_state_invalid: {
    title: 'This sign-in cannot be finished',
    text: 'Its return address was changed on the way or made by another installation.',
    hint: 'Start again from here.',
  },
  login_denied: {
    title: 'The identity provider did not sign you in',
    text: 'It answered with an error instead of a sign-in: you may have cancelled, or you may not be allowed in.',
    hint: 'Try again, or ask whoever runs your identity provider and give them the reference below.',
  },
  login_exchange_failed: {
    title: 'The sign-in could not be verified',
    text: 'The identity provider sent you back, but what it vouched for did not check out, so you are not signed in.',
    hint: 'Try again. If it keeps happening, give the reference below to whoever runs this gateway.',
  },
  login_subject_mismatch: {
    title: 'The sign-in could not be verified',
    text: 'The identity provider spoke of two different people, so you are not signed in.',
    hint: 'Give the reference below to whoever runs this gateway.',
  },
  login_loop: {
    title: 'You are signed in, but your browser does not keep the session',
    text: 'Signing in worked several times in a row, yet no session cookie came back.',
    hint: 'Allow cookies for this site, close other tabs of it, and try again.',
  },
  login_method: {
    title: 'Open this page by a link',
    text: 'Signing in is for browsers that open a page.',
    hint: 'Open the site itself.',
  },
  session_too_large: {
    title: 'Your profile is too large for a session',
    text: 'The identity provider says more about you than one cookie can hold.',
    hint: 'Whoever runs this gateway can use a server-side session store or ask the provider for fewer claims.',
  },
  issuer_unreachable: {
    title: 'The identity provider cannot be reached',
    text: 'Nothing is wrong with your account: this gateway could not ask.',
    hint: 'Try again in a moment.',
  },
  upstream_unreachable: {
    title: 'The service behind is not reachable',
    text: 'You are signed in, but the service did not take the request.',
    hint: 'Try again in a moment.',
  },
  upstream_timeout: {
    title: 'The service behind did not answer in time',
    text: 'You are signed in, but the service took too long.',
    hint: 'Try again in a moment.',
  },
  scope_missing: {
    title: 'Not allowed',
    text: 'Your token does not allow this.',
    hint: 'Ask for the scope that is missing.',
  },
  origin_refused: {
    title: 'Refused: this came from another site',
    text: 'A page of another site tried to do something here in your name.',
    hint: 'Do it from this site itself.',
  },
};

const generalWords = {
  title: 'That did not work',
  text: 'The gateway could not do what was asked.',
  hint: 'Try again. If it keeps happening, give the reference below to whoever runs this gateway.',
};

interface FailurePage {
  readonly status: number;
  readonly code: FailureCode;
  readonly id: string;
  /** Local path that tries again. */
  readonly retry?: string;
  /** What to blame, in a word: an OAuth error code, the name of a claim. */
  readonly about?: string;
}

/** A page that says what happened, what to try, and the reference that stands in the log. */
export function failurePage(page: FailurePage): Reply {
  const { title, text, hint } = words[page.code] ?? generalWords;
  const about = page.about ? `<p>It is about: <code>${escapeHtml(page.about)}</code></p>` : '';
  const again = page.retry ? `<a class="go" href="${escapeHtml(page.retry)}">Try again</a>` : '';
  return html(
    page.status,
    title,
    `<p>${text}</p>${about}<p>${hint}</p>${again}<small>Reference <code>${escapeHtml(page.id)}</code> · <code title="${escapeHtml(failureCodes[page.code])}">${page.code}</code></small>`,
  );
}

/** The end of a sign-out that was asked to lead nowhere else. */
export function signedOutPage(): Reply {
  return html(
    200,
    'You are signed out',
    '<p>Your session here has ended.</p><a class="go" href="/login">Sign in again</a>',
  );
}

/** Asks before signing out, since the request came from another site. @param to local path that the form posts to */
export function confirmLogoutPage(to: string): Reply {
  return html(
    200,
    'Sign out?',
    `<p>Another site asked to sign you out. Nothing has happened yet.</p><form method="post" action="${escapeHtml(to)}"><button>Sign out</button></form>`,
  );
}

/** Goes on by itself, from this site's own page: so that SameSite=Strict cookies are sent along. */
export function refreshPage(to: string): Reply {
  const url = escapeHtml(to);
  return html(
    200,
    'Signed in',
    `<p>One moment …</p><a class="go" href="${url}">Continue</a>`,
    `<meta http-equiv="refresh" content="0;url=${url}">`,
  );
}

/**
 * A page of ours: nothing on it runs, and nothing is loaded.
 *
 * @param title, body as they are: what did not come from us has to be escaped
 */
export function html(status: number, title: string, body: string, head = ''): Reply {
  // A form of ours is answered with a redirect to the provider, which the directive would have to name.
  const formAction = body.includes('<form') ? '' : "; form-action 'none'";
  return {
    status,
    fields: [
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Security-Policy',
      `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; frame-ancestors 'none'${formAction}`,
      'X-Content-Type-Options',
      'nosniff',
      'Referrer-Policy',
      'no-referrer',
    ],
    body: `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">${head}<title>${title}</title><style>${style}</style><main><h1>${title}</h1>${body}</main></html>`,
  };
}

/** For text and for quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
