import type { Whereabouts } from './session-list.ts';

/** Where sessions were begun, in the order in which they were. As big as the store whose sessions it tells of. */
export interface Begun {
  add(id: string, from: Whereabouts | undefined): void;
  drop(id: string): void;
  of(id: string): Whereabouts;
  /** Sessions that began after the one that a cursor stands for, oldest first. @param cursor 0 for all */
  after(cursor: number): Iterable<{ readonly id: string; readonly cursor: number }>;
}

const NOWHERE: Whereabouts = { userAgent: '', address: '' };

export function createBegun(): Begun {
  // A Map keeps the order in which its keys came.
  const begun = new Map<string, { readonly order: number; readonly from: Whereabouts }>();
  let count = 0;
  return {
    add: (id, from = NOWHERE) => {
      count += 1;
      begun.set(id, { order: count, from });
    },
    drop: (id) => void begun.delete(id),
    of: (id) => begun.get(id)?.from ?? NOWHERE,
    *after(cursor) {
      for (const [id, { order }] of begun) if (order > cursor) yield { id, cursor: order };
    },
  };
}
