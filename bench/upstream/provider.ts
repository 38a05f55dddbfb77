import { createDemoProvider } from '../../src/demo/provider.ts';

// The demo's provider as a process of its own. argv: public URL of the gateway, secret of its service app.

const [publicUrl = '', service = ''] = process.argv.slice(2);
const provider = createDemoProvider({
  port: 0,
  publicUrls: [publicUrl],
  secrets: { service },
  accessTokenTtlS: 86_400,
});
const issuer = await provider.start();
process.stdout.write(`issuer ${issuer} client ${provider.clients.service.id}\n`);
