/** Everything the device keeps, in one IndexedDB per account: who signs in on the same telephone next sees nothing of it. */
import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Draft, Id, Op, Photo, Phone, Queued, Stored } from './types';

interface Schema extends DBSchema {
  meta: { key: string; value: unknown };
  parts: { key: string; value: unknown };
  rows: { key: [string, string]; value: Stored<unknown>; indexes: { of: string } };
  queue: { key: string; value: Queued; indexes: { seq: number; about: string } };
  files: { key: string; value: Photo; indexes: { op: string } };
  drafts: { key: string; value: Draft };
}

let open: IDBPDatabase<Schema> | null = null;
let account = '';
const named = (of: Id) => `anlan-phone-${of}`;
const lastOf = (of: Id) => `anlan.draft.${of}`;

export async function use(of: Id): Promise<void> {
  if (open && account === of) return;
  open?.close();
  account = of;
  open = await openDB<Schema>(named(of), 1, {
    upgrade(db) {
      db.createObjectStore('meta'); db.createObjectStore('parts');
      db.createObjectStore('rows', { keyPath: ['of', 'id'] }).createIndex('of', 'of');
      const queue = db.createObjectStore('queue', { keyPath: 'op_id' }); queue.createIndex('seq', 'seq'); queue.createIndex('about', 'about');
      db.createObjectStore('files', { keyPath: 'id' }).createIndex('op', 'op');
      db.createObjectStore('drafts', { keyPath: 'key' });
    },
    blocking() { open?.close(); open = null; location.reload(); }, // another tab deletes or upgrades it
  });
  const left = localStorage.getItem(lastOf(of));
  if (left) { await open.put('drafts', JSON.parse(left) as Draft); localStorage.removeItem(lastOf(of)); }
}
export const ready = () => open !== null;
export function db(): IDBPDatabase<Schema> { if (!open) throw new Error('no account yet'); return open; }

export const meta = async <T>(key: string): Promise<T | undefined> => (await db().get('meta', key)) as T | undefined;
export const setMeta = (key: string, value: unknown) => db().put('meta', value, key);
export const part = async <T>(key: string): Promise<T | undefined> => (await db().get('parts', key)) as T | undefined;
export const rowsOf = async <T>(of: string): Promise<T[]> => (await db().getAllFromIndex('rows', 'of', of)).map((one) => one.row as T);
export const rowOf = async <T>(of: string, id: Id): Promise<T | undefined> => (await db().get('rows', [of, id]))?.row as T | undefined;

export const queue = () => db().getAllFromIndex('queue', 'seq');
export const unsent = (items: Queued[]) => items.filter((item) => item.state === 'waiting' || item.state === 'later');

/** Keep a form's newest words. A page that is left or killed aborts what it was writing, so they stand beside the database until it has them. */
export async function keepDraft(draft: Draft): Promise<void> {
  const last = lastOf(account), said = JSON.stringify(draft), written = db().put('drafts', draft);
  localStorage.setItem(last, said);
  await written;
  if (localStorage.getItem(last) === said) localStorage.removeItem(last);
}
export async function dropDraft(key: string): Promise<void> { await db().delete('drafts', key); localStorage.removeItem(lastOf(account)); }

/** Put something done into the queue. Number, predecessor, files and draft change together or not at all. */
export async function enqueue(about: string, op: Omit<Op, 'seq' | 'after' | 'at'> & { at?: string }, draft?: string): Promise<Queued> {
  const tx = db().transaction(['meta', 'queue', 'files', 'drafts'], 'readwrite');
  const seq = ((await tx.objectStore('meta').get('seq')) as number | undefined ?? 0) + 1;
  const before = (await tx.objectStore('queue').index('about').getAll(about)).filter((item) => item.state === 'waiting' || item.state === 'later').sort((a, b) => b.seq - a.seq)[0];
  const item: Queued = {
    op_id: op.op_id, seq, about, state: 'waiting', tries: 0,
    op: { ...op, seq, at: op.at ?? new Date().toISOString(), after: about && before ? [before.op_id] : [] },
  };
  await tx.objectStore('meta').put(seq, 'seq');
  await tx.objectStore('queue').put(item);
  for (const id of op.files) {
    const file = await tx.objectStore('files').get(id);
    if (file) await tx.objectStore('files').put({ ...file, op: op.op_id, state: 'waiting' });
  }
  if (draft) await tx.objectStore('drafts').delete(draft);
  await tx.done;
  if (draft) localStorage.removeItem(lastOf(account));
  return item;
}

/** Take something out of the queue for good, with its files; whatever waited for it waits no more. */
export async function drop(op_id: Id): Promise<void> {
  const tx = db().transaction(['queue', 'files'], 'readwrite');
  for (const item of await tx.objectStore('queue').getAll()) {
    if (item.op.after.includes(op_id)) await tx.objectStore('queue').put({ ...item, op: { ...item.op, after: item.op.after.filter((id) => id !== op_id) } });
  }
  for (const file of await tx.objectStore('files').index('op').getAllKeys(op_id)) await tx.objectStore('files').delete(file);
  await tx.objectStore('queue').delete(op_id);
  await tx.done;
}

/** Forget what was taken along; what was done here stays. */
export async function forgetCopy(): Promise<void> {
  const tx = db().transaction(['parts', 'rows', 'meta'], 'readwrite');
  await tx.objectStore('parts').clear(); await tx.objectStore('rows').clear(); await tx.objectStore('meta').delete('cursor');
  await tx.done;
}

/** Which accounts used this device; the secret only asks whether the copy must go. */
const PHONES = 'anlan.phones', CURRENT = 'anlan.current';
const phones = (): Record<Id, Phone> => JSON.parse(localStorage.getItem(PHONES) || '{}');
export const current = (): Phone | null => phones()[localStorage.getItem(CURRENT) ?? ''] ?? null;
export function phoneOf(of: Id): Phone {
  const known = phones();
  known[of] ??= { account: of, device: crypto.randomUUID(), secret: [...crypto.getRandomValues(new Uint8Array(32))].map((b) => b.toString(16).padStart(2, '0')).join('') };
  localStorage.setItem(PHONES, JSON.stringify(known)); localStorage.setItem(CURRENT, of);
  return known[of];
}
/** A device the server does not know under this account (restored from a backup, say) becomes a new one. */
export function renew(of: Id): Phone { const known = phones(); delete known[of]; localStorage.setItem(PHONES, JSON.stringify(known)); return phoneOf(of); }
export async function wipe(of: Id): Promise<void> {
  open?.close(); open = null; account = '';
  await deleteDB(named(of));
  localStorage.removeItem(lastOf(of));
  const known = phones(); delete known[of];
  localStorage.setItem(PHONES, JSON.stringify(known));
  if (localStorage.getItem(CURRENT) === of) localStorage.removeItem(CURRENT);
}

/** A key made here: time-ordered, so that what one device makes lies together. */
export function uuid7(): Id {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let ms = Date.now();
  for (let i = 5; i >= 0; i--) { bytes[i] = ms % 256; ms = Math.floor(ms / 256); }
  bytes[6] = (bytes[6] & 15) | 112; bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
