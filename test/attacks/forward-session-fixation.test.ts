import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Front, startFront, talk } from '../forward/front.ts';
import { type RawUpstream, startRawUpstream } from '../forward/raw-upstream.ts';

const ours = ['__Host-flytegate', 'flytegate', '__Host-flytegate-login-abcdefgh', '__Secure-flytegate-idt'];

describe('a service that sets the gateway’s own cookies', () => {
  let upstream: RawUpstream;
  let door: Front;
  let cookie = '';

  before(async () => {
    upstream = await startRawUpstream((socket) =>
      socket.write(
        `HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: ${cookie}\r\nSet-Cookie: b=2; Path=/\r\nContent-Length: 0\r\n\r\n`,
      ),
    );
    door = await startFront({ upstream: { port: upstream.port } });
  });

  after(async () => {
    await door.close();
    await upstream.close();
  });

  const answerSetting = (value: string) => {
    cookie = value;
    return talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  };

  for (const name of ours) {
    for (const spelling of [
      `${name}=chosen; Path=/; Secure`,
      `${name} =chosen`,
      `  ${name}=chosen`,
      // Stored without a name, and sent back as if it had one.
      `=${name}=chosen; Path=/`,
      ` = ${name}=chosen`,
      `==${name}=chosen`,
      `${name}; chosen=1`,
    ]) {
      it(`does not choose who somebody is by ${JSON.stringify(spelling)}`, async () => {
        const answer = await answerSetting(spelling);
        assert.match(answer, /^HTTP\/1\.1 200 /);
        assert.ok(!answer.includes('chosen'), answer);
      });
    }
  }

  it('sets its own cookies, in order', async () => {
    const answer = await answerSetting('theme=dark; Path=/');
    const set = [...answer.matchAll(/^set-cookie: (.*)$/gim)].map((match) => match[1]?.trim());
    assert.deepEqual(set, ['a=1', 'theme=dark; Path=/', 'b=2; Path=/']);
  });
});
