import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2433; --soft: #5b6478; --paper: #fff; --back: #f1f3f8; --line: #d5dae6; --strong: #4f46c8; --onstrong: #fff; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf4; --soft: #a2abc0; --paper: #1c2130; --back: #12151f; --line: #353d52; --strong: #a5a0ff; --onstrong: #14112e; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
main { max-width: 26rem; margin: 10vh auto 4rem; padding: 0 1rem }
main.wide { max-width: 62rem; margin-top: 2rem }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem; margin-bottom: 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem } h2 { font-size: 1rem; margin: 0 0 .75rem }
p { margin: 0 0 1rem; color: var(--soft) } p:last-child { margin-bottom: 0 }
label { display: block; font-weight: 600; margin: .75rem 0 .25rem }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); border-radius: 8px }
button, a.button { display: inline-block; margin-top: 1rem; padding: .6rem 1.25rem; font: inherit; font-weight: 600; text-decoration: none; color: var(--onstrong); background: var(--strong); border: 0; border-radius: 8px; cursor: pointer }
button.quiet { color: var(--strong); background: none }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px }
.bad { color: var(--bad); font-weight: 600 } code { font-size: .95em; overflow-wrap: anywhere } .big { font-size: 1.75rem; letter-spacing: .1em; color: var(--ink) }
ul { margin: 0 0 1rem; padding-left: 1.2rem; color: var(--soft) }
header { display: flex; gap: 1rem; align-items: center; justify-content: space-between; margin-bottom: 1rem } header a.button { margin: 0 }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)) } .grid section { margin: 0; min-width: 0 }
table { width: 100%; border-collapse: collapse; table-layout: fixed } th, td { text-align: left; vertical-align: top; padding: .3rem .5rem .3rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere } th { width: 42%; font-weight: 600 }
pre { margin: 0; min-height: 6rem; max-height: 12rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere } .row { display: flex; gap: .5rem } .row button { margin: 0 }
`;

/** One page of the demo: plain HTML, nothing loaded from elsewhere. */
export interface Page {
  readonly title: string;
  /** HTML; whatever comes from outside is escaped already. */
  readonly body: string;
  readonly wide?: boolean;
  /** A script of our own, allowed by its digest. */
  readonly script?: string;
  /** Origins that a form on this page may lead to in the end; `'self'` always. */
  readonly formTargets?: readonly string[];
}

/** A page as it goes out: its text, and the header fields that belong to it. */
export function render(page: Page): { readonly html: string; readonly fields: Readonly<Record<string, string>> } {
  const script = page.script ? `<script>${page.script}</script>` : '';
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}</title><style>${STYLE}</style></head>
<body><main${page.wide ? ' class="wide"' : ''}>${page.body}</main>${script}</body></html>`;
  const policy = [
    "default-src 'none'",
    `style-src '${digest(STYLE)}'`,
    page.script ? `script-src '${digest(page.script)}'` : '',
    page.script ? "connect-src 'self'" : '',
    // Browsers apply form-action to the redirects after the form, too: back to the app that asked.
    `form-action 'self' ${(page.formTargets ?? []).join(' ')}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    html,
    fields: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy.filter(Boolean).join('; '),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    },
  };
}

/** Text as HTML shows it, in an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
