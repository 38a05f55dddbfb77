/** One parameter of a query: absent (or empty, which browsers send for an empty form field), single, or given twice. */
export type Parameter =
  | { readonly kind: 'absent' }
  | { readonly kind: 'single'; readonly value: string }
  | { readonly kind: 'repeated' };

/** Reads one parameter; nobody has to guess which of two values counts. */
export function readParameter(query: URLSearchParams, name: string): Parameter {
  const values = query.getAll(name);
  if (values.length > 1) return { kind: 'repeated' };
  const value = values[0];
  return value === undefined || value === '' ? { kind: 'absent' } : { kind: 'single', value };
}
