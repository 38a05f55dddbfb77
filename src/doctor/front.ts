import type { Config } from '../config/config.ts';
import type { Outbound } from '../oidc/outbound.ts';
import { errorCode, shortly } from './error-code.ts';
import { type Finding, unknown } from './finding.ts';
import { remedyOfTls } from './judge-certificate.ts';
import { type FrontAnswer, judgeDiscovery, judgeMe } from './judge-front.ts';

/** @property outbound to the public URL, which is no provider: no proxy, and http too */
interface Needs {
  readonly config: Config;
  readonly outbound: Outbound;
}

const services = { 'Flyte 1': 'flyteidl.service', 'Flyte 2': 'flyteidl2.auth' } as const;

/** Asks at the public URL as browsers and SDKs do, without a credential. What is not running yet is no problem. Never throws. */
export async function checkFront({ config, outbound }: Needs): Promise<readonly Finding[]> {
  const { publicUrl } = config.server;
  const { clientId } = config.auth.appAuth.thirdPartyConfig.flyteClient;
  try {
    const me = judgeMe(await ask(`${publicUrl}/me`, outbound), publicUrl);
    if (me.verdict !== 'ok') return [me, unknown('sdk-discovery', 'no gateway answers there', 'see public-url')];
    const discovery = Object.entries(services).map(async ([generation, name]) => {
      const url = `${publicUrl}/${name}.AuthMetadataService/GetPublicClientConfig`;
      return judgeDiscovery(await ask(url, outbound, '{}'), { clientId, generation });
    });
    return [me, ...(await Promise.all(discovery))];
  } catch (error) {
    const remedy =
      remedyOfTls(errorCode(error) ?? '') ??
      'start the gateway and what stands in front, and ask again from where people are';
    return [
      unknown('public-url', `nobody answers at ${publicUrl} from here: ${shortly(error)}`, remedy),
      unknown('sdk-discovery', 'nobody answers there', 'see public-url'),
    ];
  }
}

/** @param json the message of a Connect call; without it a GET */
async function ask(url: string, outbound: Outbound, json?: string): Promise<FrontAnswer> {
  const headers = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
  const keep = ['location', 'www-authenticate'];
  const sent = json === undefined ? { keep } : { keep, method: 'POST', headers, body: json };
  const answer = await outbound.fetch(url, sent);
  const field = (name: string) => answer.headers.get(name) ?? undefined;
  const body: unknown = await answer.json().catch(() => undefined); // Safe: what is no JSON is judged as that.
  return {
    status: answer.status,
    location: field('location'),
    challenge: field('www-authenticate'),
    contentType: field('content-type'),
    body,
  };
}
