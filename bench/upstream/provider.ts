import { createDemoProvider } from '../../src/demo/provider.ts';

// The demo's provider as a process of its own. argv: public URL of the gateway, secrets of its service and web apps, password of
// its first person.

const [publicUrl = '', service = '', web = '', password = ''] = process.argv.slice(2);
const provider = createDemoProvider({
  port: 0,
  // The second for oauth2-proxy, which has its callback below a path of its own.
  publicUrls: [publicUrl, `${publicUrl}/oauth2`],
  secrets: { service, web },
  passwords: [password],
  accessTokenTtlS: 86_400,
});
const issuer = await provider.start();
const { clients, accounts } = provider;
process.stdout.write(`issuer ${issuer} service ${clients.service.id} web ${clients.web.id} user ${accounts[0]?.sub}\n`);
