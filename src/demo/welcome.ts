import type { Account } from './people.ts';
import type { Clients } from './provider-settings.ts';

/** What `npm start` prints: everything needed to try the demo. The secrets in it live as long as the demo does. */
export function welcome(demo: {
  readonly url: string;
  readonly admin: string;
  readonly issuer: string;
  readonly provider: { readonly accounts: readonly Account[]; readonly clients: Clients };
}): string {
  const { url, admin, issuer, provider } = demo;
  const { web, native, service } = provider.clients;
  const people = provider.accounts.map(({ sub, password }) => `${sub} / ${password}`).join('   ');
  return `
flytegate demo

  Open            ${url}/console
  Sign in as      ${people}

  Provider        ${issuer}
  Apps            ${web.id} (web)   ${native.id} (PKCE, device code)   ${service.id} (client credentials)
  Admin           ${admin}/readyz   ${admin}/metrics

As the service app, by curl:

  ${curlLine(demo)}

The same by gRPC, from a checkout:

  ${grpcLine(demo)}

Ctrl-C stops everything; nothing stays on disk.

`;
}

type Place = Parameters<typeof welcome>[0];

/** A line for a POSIX shell: fetches a token with client credentials and asks who that is. */
export function curlLine(demo: Place): string {
  return `curl -s -H "flyte-authorization: Bearer ${token(demo)}" ${demo.url}/api/v1/whoami`;
}

/** A line for a POSIX shell: the same through gRPC on the same port, with the client that the checkout has installed. */
export function grpcLine(demo: Place): string {
  return `npx buf curl --schema proto --protocol grpc --http2-prior-knowledge -H "flyte-authorization: Bearer ${token(demo)}" -d '{"text":"hello"}' ${demo.url}/flytegate.demo.v1.EchoService/Unary`;
}

function token({ issuer, provider }: Place): string {
  const { id, secret } = provider.clients.service;
  return `$(curl -s -u ${id}:${secret} -d 'grant_type=client_credentials&scope=all' ${issuer}/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`;
}
