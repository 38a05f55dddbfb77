import type { Millis } from '../config/units.ts';
import type { Reply } from '../server/exchange.ts';
import type { ListedSession } from '../session/session-list.ts';
import { deviceOf } from './device.ts';
import { escapeHtml, html } from './pages.ts';

export interface SessionsPage {
  /** The one that the request came with. */
  readonly current: ListedSession;
  readonly others: readonly ListedSession[];
  /** Whether `others` are all there are; in cookie mode nobody knows. */
  readonly isWhole: boolean;
  readonly now: Millis;
}

/** A person's sessions, each with a button that ends it. Every one is a form of its own: no script runs here. */
export function sessionsPage({ current, others, isWhole, now }: SessionsPage): Reply {
  const rest = others.toSorted((a, b) => b.seenAt - a.seenAt);
  const items = [thisOne(current, now), ...rest.map((one) => other(one, now))].join('');
  const note = isWhole
    ? ''
    : '<p>Sessions in other browsers are kept by those browsers alone, so they are not listed here.</p>';
  return html(200, 'Where you are signed in', `<ul>${items}</ul>${note}${everything(rest.length, isWhole)}`);
}

function thisOne(session: ListedSession, now: Millis): string {
  const facts = describe(session, now, { seen: 'now', mark: ' <mark>this browser</mark>' });
  return `<li><div>${facts}</div><form method="post" action="/logout"><button class="small">Sign out</button></form></li>`;
}

function other(session: ListedSession, now: Millis): string {
  const device = escapeHtml(deviceOf(session.userAgent));
  const facts = describe(session, now, { seen: ago(now - session.seenAt), mark: '' });
  return `<li><div>${facts}</div>${form(session.handle, `Sign out<span class="aside"> ${device}</span>`, 'small')}</li>`;
}

function everything(others: number, isWhole: boolean): string {
  if (!isWhole) return form('everywhere', 'Sign out everywhere, here too', 'plain');
  return others === 0 ? '' : form('others', 'Sign out everywhere else', 'plain');
}

function form(end: string, label: string, kind: 'small' | 'plain'): string {
  return `<form method="post" action="/sessions"><button class="${kind}" name="end" value="${escapeHtml(end)}">${label}</button></form>`;
}

function describe(
  { userAgent, address, startedAt }: ListedSession,
  now: Millis,
  { seen, mark }: { readonly seen: string; readonly mark: string },
): string {
  const from = address === '' ? '' : `${escapeHtml(address)}<br>`;
  const begun = `signed in ${time(startedAt, ago(now - startedAt))}`;
  return `<b>${escapeHtml(deviceOf(userAgent))}</b>${mark}<br><span>${from}last seen ${seen} · ${begun}</span>`;
}

function time(at: Millis, words: string): string {
  const moment = new Date(at).toISOString();
  return `<time datetime="${moment}" title="${moment}">${words}</time>`;
}

const units = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
] as const;

/** In the largest unit of which there is one; clocks that differ make nothing younger than now. */
function ago(ms: Millis): string {
  for (const [unit, name] of units) {
    const count = Math.floor(ms / unit);
    if (count > 0) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'a moment ago';
}
