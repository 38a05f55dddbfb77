import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { errors } from 'oidc-provider';
import { type Page, render } from './page.ts';
import type { Account, CheckPassword } from './people.ts';
import { loginPage, messagePage } from './provider-pages.ts';

/** A name and a password are short; more is not read. */
const MAX_FORM_BYTES = 4096;

/** Shows the sign-in form of a started authorization, and takes what was typed. Never throws. */
export function createInteraction(needs: {
  provider: Provider;
  people: readonly Account[];
  checkPassword: CheckPassword;
  formTargets: readonly string[];
}): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    try {
      await interact(needs, request, response);
    } catch (error) {
      // Ended, forged or somebody else's: the person can only start again. Anything else is a mistake worth showing.
      const isOver = error instanceof errors.OIDCProviderError;
      const text = isOver ? 'This sign-in has ended. Start again from the app.' : String(error);
      if (!response.headersSent) send(response, isOver ? 400 : 500, messagePage('The sign-in cannot go on', text));
    }
  };
}

/** Sends a page. */
export function send(response: ServerResponse, status: number, page: Page): void {
  const { html, fields } = render(page);
  response.writeHead(status, fields).end(html);
}

async function interact(
  needs: Parameters<typeof createInteraction>[0],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { provider, people } = needs;
  const { prompt, uid, params } = await provider.interactionDetails(request, response);
  if (prompt.name !== 'login') {
    await provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true });
    return;
  }
  const client = await provider.Client.find(String(params['client_id']));
  const page = (user: string, wasWrong: boolean) =>
    loginPage({ uid, people, client: client?.clientName ?? 'an app', user, wasWrong, formTargets: needs.formTargets });
  if (request.method !== 'POST') {
    const hint = typeof params['login_hint'] === 'string' ? params['login_hint'] : '';
    send(response, 200, page(hint, false));
    return;
  }
  const form = await readForm(request);
  const user = form?.get('user') ?? '';
  if (!(await needs.checkPassword(user, form?.get('password') ?? ''))) {
    send(response, 403, page(user.slice(0, 64), true));
    return;
  }
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: user, amr: ['pwd'] } },
    { mergeWithLastSubmission: false },
  );
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Uint8Array)) return undefined;
    bytes += chunk.length;
    if (bytes > MAX_FORM_BYTES) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
