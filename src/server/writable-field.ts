import { validateHeaderName } from 'node:http';

/**
 * Checks that header fields can be written as they are: names are tokens, values hold no control character but tab and
 * no character above U+00FF (RFC 9110 §5.5).
 *
 * @param fields flat: name, value, name, value …
 * @throws {TypeError} for one that cannot: a mistake in the gateway, or an attempt to split a message
 */
export function assertWritable(fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    validateHeaderName(name);
    assertWritableValue(name, fields[i + 1]);
  }
}

/** The same of one value. @throws {TypeError} */
export function assertWritableValue(name: string, value: string | undefined): void {
  if (value === undefined || unwritable.test(value)) throw new TypeError(`the value of ${name} cannot be written`);
}

const unwritable = /[^\t\x20-\x7e\x80-\xff]/;
