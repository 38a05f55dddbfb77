import type { Outcome } from '../oidc/outcome.ts';
import type { Reply } from '../server/exchange.ts';
import { confirmLogoutPage, failurePage, refreshPage, signedOutPage } from './pages.ts';
import { RETRY_AFTER_S } from './refusal.ts';

/** What nginx's default 4k header buffer takes, with room for the status line and what Node adds. */
const maxHeaderBytes = 3_300;

/** Shows what a sign-in or sign-out step came to. @param id reference of the request */
export function showOutcome(outcome: Outcome, id: string): Reply {
  const page = pageOf(outcome, id);
  const cookies = outcome.cookies.flatMap((cookie) => ['Set-Cookie', cookie]);
  const later = page.status === 503 ? ['Retry-After', RETRY_AFTER_S] : [];
  return {
    ...page,
    fields: [
      ...page.fields,
      'Cache-Control',
      'no-store',
      'X-Accel-Expires',
      '0',
      'X-Request-ID',
      id,
      ...later,
      ...cookies,
    ],
  };
}

function pageOf(outcome: Outcome, id: string): Reply {
  switch (outcome.kind) {
    case 'redirect':
      // A long way back travels in the body, where no header buffer in front cuts it off.
      if (headerBytes(outcome.to, outcome.cookies) > maxHeaderBytes) return refreshPage(outcome.to);
      return { status: 302, fields: ['Location', outcome.to, 'Referrer-Policy', 'no-referrer'] };
    case 'refresh':
      return refreshPage(outcome.to);
    case 'failed':
      return failurePage({ ...outcome, id });
    case 'confirm-logout':
      return confirmLogoutPage(outcome.to);
    case 'signed-out':
      return signedOutPage();
  }
}

function headerBytes(location: string, cookies: readonly string[]): number {
  return cookies.reduce((sum, cookie) => sum + cookie.length + 14, location.length + 12);
}
