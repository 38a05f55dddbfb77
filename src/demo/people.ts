import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** Somebody who can sign in to the demo. */
export interface Account {
  /** The subject, and what is typed as user name. */
  readonly sub: string;
  readonly password: string;
  /** OpenID Connect Core §5.1, and `groups`. */
  readonly claims: Readonly<Record<string, string | boolean | readonly string[]>>;
}

/** The two people of the demo; one has a name and an e-mail that are not plain ASCII or not verified. */
export function createPeople(passwords?: readonly string[]): readonly Account[] {
  return [
    {
      sub: 'ada',
      password: passwords?.[0] ?? newPassword(),
      claims: {
        name: 'Ada Okafor',
        given_name: 'Ada',
        family_name: 'Okafor',
        preferred_username: 'ada',
        email: 'ada@example.com',
        email_verified: true,
        groups: ['platform', 'ml-research'],
      },
    },
    {
      sub: 'zoe',
      password: passwords?.[1] ?? newPassword(),
      claims: {
        name: 'Zoë Núñez',
        given_name: 'Zoë',
        family_name: 'Núñez',
        preferred_username: 'zoe',
        email: 'zoe@example.com',
        email_verified: false,
        groups: ['analytics'],
      },
    },
  ];
}

/** Checks a name and a password; takes as long for an unknown name as for a wrong password. */
export type CheckPassword = (sub: string, password: string) => Promise<boolean>;

/** Keeps only salted hashes of the passwords. Passwords over 128 characters are wrong. */
export async function createCheckPassword(people: readonly Account[]): Promise<CheckPassword> {
  const salt = randomBytes(16);
  const known = new Map<string, Buffer>();
  for (const { sub, password } of people) known.set(sub, await hash(password, salt));
  const nobody = randomBytes(32);
  return async (sub, password) => {
    const given = await hash(password.slice(0, 128), salt);
    const isSame = timingSafeEqual(given, known.get(sub) ?? nobody);
    return isSame && known.has(sub) && password.length <= 128;
  };
}

function newPassword(): string {
  return randomBytes(9).toString('base64url');
}

function hash(password: string, salt: Buffer): Promise<Buffer> {
  const cost: ScryptOptions = { N: 4096 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 32, cost, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
