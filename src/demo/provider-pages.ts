import type { KoaContextWithOIDC } from 'oidc-provider';
import { escapeHtml, type Page, render } from './page.ts';
import type { Account } from './people.ts';

/** The sign-in form. @param on.wasWrong shown after a failed attempt, with the name that was typed */
export function loginPage(on: {
  readonly uid: string;
  readonly people: readonly Account[];
  readonly client: string;
  readonly user: string;
  readonly wasWrong: boolean;
  readonly formTargets: readonly string[];
}): Page {
  const known = on.people.map(
    ({ sub, claims }) => `<li><code>${sub}</code> – ${escapeHtml(String(claims['name']))}</li>`,
  );
  const wrong = on.wasWrong
    ? '<p class="bad" role="alert" id="wrong">This name and password do not go together.</p>'
    : '';
  const described = on.wasWrong ? ' aria-invalid="true" aria-describedby="wrong"' : '';
  return {
    title: 'Sign in – demo provider',
    formTargets: on.formTargets,
    body: `<section><h1>Sign in</h1>
<p>to <strong>${escapeHtml(on.client)}</strong>. This is the demo’s own OpenID provider; passwords are printed where it was started. It knows:</p>
<ul>${known.join('')}</ul>${wrong}
<form method="post" action="/interaction/${encodeURIComponent(on.uid)}">
<label for="user">User</label><input id="user" name="user" required autocomplete="username" autocapitalize="none" spellcheck="false" value="${escapeHtml(on.user)}" autofocus${described}>
<label for="password">Password</label><input id="password" name="password" type="password" required autocomplete="current-password"${described}>
<button type="submit">Sign in</button></form></section>`,
  };
}

/** A page with something to say and nothing to do. @param text plain text */
export function messagePage(title: string, text: string): Page {
  return { title, body: `<section><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p></section>` };
}

/** Sends the sign-out form off at once when the app proved whom it speaks for; anyone else has to press the button. */
export function logoutPage(
  form: string,
  at: { readonly isAsked: boolean; readonly formTargets: readonly string[] },
): Page {
  const confirm = `<button type="submit" form="op.logoutForm" name="logout" value="yes" id="yes">Sign out</button>`;
  return {
    title: 'Sign out – demo provider',
    formTargets: at.formTargets,
    body: `<section><h1>Sign out</h1><p>Ends your session at the demo’s provider.</p>${form}${confirm}</section>`,
    ...(at.isAsked ? {} : { script: "document.getElementById('yes').click();" }),
  };
}

/** Where the code that a device shows is typed in. */
export function deviceCodePage(form: string, wasWrong: boolean): Page {
  const wrong = wasWrong ? '<p class="bad" role="alert">There is no such code, or not any more.</p>' : '';
  return {
    title: 'Connect a device – demo provider',
    body: `<section><h1>Connect a device</h1><p>Type the code that your device shows.</p>${wrong}${form}
<button type="submit" form="op.deviceInputForm">Continue</button></section>`,
  };
}

/** Where a person says that the device is theirs. */
export function deviceConfirmPage(form: string, client: string, userCode: string): Page {
  return {
    title: 'Connect a device – demo provider',
    body: `<section><h1>Is this your device?</h1><p><strong>${escapeHtml(client)}</strong> shows this code:</p><p class="big"><code>${escapeHtml(userCode)}</code></p>${form}
<button type="submit" form="op.deviceConfirmForm" autofocus>Yes, connect it</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes" class="quiet">No</button></section>`,
  };
}

/** Puts a page into the provider's answer. */
export function show(ctx: KoaContextWithOIDC, page: Page): void {
  const { html, fields } = render(page);
  ctx.set({ ...fields });
  ctx.body = html;
}
