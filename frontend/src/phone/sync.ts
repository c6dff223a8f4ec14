/** Bringing back what was done, and taking along what is new. One sync at a time, in every tab; a kill at any instant loses and doubles nothing:
 *  an operation leaves the queue only on the server's answer to its own key, and the server answers a repeated key as the first time. */
import * as store from './db';
import { call, Failure } from './net';
import type { Id, Me, Op, Photo, Queued } from './types';

export interface Status { network: boolean; busy: '' | 'ops' | 'files' | 'copy'; done: number; of: number; bytes: number; size: number; problem: string; signIn: boolean; factor: boolean; next: number; synced: number; unsent: number }
export const status: Status = { network: navigator.onLine, busy: '', done: 0, of: 0, bytes: 0, size: 0, problem: '', signIn: false, factor: false, next: 0, synced: 0, unsent: 0 };
const listeners = new Set<(kind: 'status' | 'data') => void>();
export const listen = (on: (kind: 'status' | 'data') => void) => { listeners.add(on); };
export const tell = (kind: 'status' | 'data' = 'status', change: Partial<Status> = {}) => { Object.assign(status, change); listeners.forEach((on) => on(kind)); };
export async function count(): Promise<void> { if (store.ready()) tell('status', { unsent: store.unsent(await store.queue()).length }); }

const BATCH_OPS = 40, BATCH_CHARS = 24_000, FIRST_PART = 16 * 1024, MOST_PART = 256 * 1024, QUICK_MS = 2500;
const FIRST_WAIT = 2_000, MOST_WAIT = 300_000;
let failures = 0, timer = 0;

/** The account was closed or the device withdrawn: what this device holds is deleted, and the reason shown. */
export let onWiped: (why: string) => void = () => {};
export const setOnWiped = (on: typeof onWiped) => { onWiped = on; };

async function mustWipe(): Promise<boolean> {
  const phone = store.current();
  if (!phone) return false;
  const ask = (wiped: boolean) => call<{ state: string; why: string }>('POST', '/state', { device: phone.device, wiped }, { headers: { Authorization: `Device ${phone.secret}` }, outlives: wiped });  // nobody could say it later: the secret goes with the data
  const found = await ask(false).catch(() => null);
  if (found?.state !== 'closed' && found?.state !== 'revoked') return false;
  await store.wipe(phone.account);
  await ask(true).catch(() => null);
  onWiped(found.why);
  return true;
}

/** Who is signed in here, and is this device known? Changes over to that account's own store. */
export async function hello(): Promise<void> {
  const me = await call<{ account: Id }>('GET', '/me');
  const before = store.current();
  if (before && before.account !== me.account) { await store.use(before.account); await store.forgetCopy(); }
  let phone = store.phoneOf(me.account);
  const enrol = () => call('POST', '/device', { device: phone.device, secret: phone.secret, name: deviceName() });
  try { await enrol(); } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'phone.unknown_device') throw error;
    phone = store.renew(me.account);
    await enrol();
  }
  await store.use(me.account);
  tell('data', { signIn: false });
}
function deviceName(): string {
  const agent = navigator.userAgent, system = /Android [\d.]+|iPhone OS [\d_]+|Windows NT [\d.]+|Mac OS X|Linux/.exec(agent)?.[0] ?? '';
  return [/; ([^;)]+?) Build/.exec(agent)?.[1], system.replaceAll('_', '.'), /(HarmonyOS|MicroMessenger|Edg|Firefox|Chrome|Safari)\/[\d]+/.exec(agent)?.[0]].filter(Boolean).join(' · ');
}

/** Sync now; called whenever there may be something to do. Returns when this run is over. */
export async function sync(why: 'asked' | 'queued' | 'back' | 'timer' = 'asked'): Promise<void> {
  if (why !== 'timer') { clearTimeout(timer); if (why === 'asked' || why === 'back') failures = 0; }
  if (!navigator.onLine) { tell('status', { network: false }); return; }
  await navigator.locks.request('anlan-sync', { ifAvailable: true }, async (lock) => {
    if (!lock) { again = true; timer = window.setTimeout(() => sync('timer'), 3000); return; } // a run of this tab looks again before it ends; of another tab, a little later
    try {
      do { again = false; await run(); } while (again);
      failures = 0;
      await store.setMeta('synced', Date.now());
      tell('data', { network: true, problem: '', busy: '', next: 0, synced: Date.now(), signIn: false });
    } catch (error) { await failed(error); }
  });
  await count();
}
let again = false;

let greeted = '';

async function run(): Promise<void> {
  // Who is signed in is asked once a page; the server refuses a device of another account, and then it is asked again.
  if (!greeted || greeted !== store.current()?.account) { await hello(); greeted = store.current()!.account; }
  await sendOps();
  if (await sendFiles()) await sendOps(); // some operations waited for their photographs
  await takeCopy();
}

async function failed(error: unknown): Promise<void> {
  const failure = error instanceof Failure ? error : new Failure(0, 'here', String(error));
  if (!(error instanceof Failure)) console.error(error);
  tell('status', { busy: '', network: failure.status !== 0 || failure.code === 'here', problem: failure.passing ? '' : failure.message });
  if (failure.code === 'phone.unknown_device' && greeted) { greeted = ''; setTimeout(() => sync('timer')); return; }
  if (failure.status === 401 || failure.code === 'phone.revoked') {
    greeted = '';
    if (await mustWipe()) return;
    tell('status', { signIn: true, problem: '' });
    return; // only a person can go on
  }
  failures += 1;
  const wait = Math.min(MOST_WAIT, FIRST_WAIT * 2 ** Math.min(failures - 1, 10)) * (0.75 + Math.random() / 2);
  tell('status', { next: Date.now() + wait });
  clearTimeout(timer);
  timer = window.setTimeout(() => sync('timer'), wait);
}

// --- operations ------------------------------------------------------------------------------------------------------

async function sendOps(): Promise<void> {
  const tried = new Set<Id>();
  tell('status', { busy: 'ops', done: 0, of: store.unsent(await store.queue()).filter((item) => !item.person).length });
  for (;;) {
    const all = await store.queue(), left = store.unsent(all).filter((item) => !item.person && !tried.has(item.op_id));
    if (!left.length) return;
    const batch: Queued[] = [];
    let chars = 0;
    for (const item of left) {
      chars += JSON.stringify(item.op).length;
      if (batch.length && (batch.length >= BATCH_OPS || chars > BATCH_CHARS)) break;
      batch.push(item);
    }
    const answer = await call<{ answers: Record<string, any>[] }>('POST', '/sync', {
      device: store.current()!.device, sent_at: new Date().toISOString(), waiting: left.length - batch.length, ops: batch.map((item) => item.op),
    }, { seconds: 120 });
    await answered(answer.answers);
    batch.forEach((item) => tried.add(item.op_id));
    tell('data', { done: status.done + batch.length });
    await count();
  }
}

async function answered(answers: Record<string, any>[]): Promise<void> {
  const tx = store.db().transaction(['queue', 'files'], 'readwrite');
  for (const answer of answers) {
    const item = await tx.objectStore('queue').get(answer.op_id);
    if (!item || !(item.state === 'waiting' || item.state === 'later')) continue;
    const later = answer.outcome === 'later';
    await tx.objectStore('queue').put({
      ...item, state: answer.outcome, tries: item.tries + 1, why: answer.why, fields: answer.fields, person: later && !!answer.person, needs: answer.files, answer, answered_at: later ? undefined : Date.now(),
      // A predecessor this device no longer has (dropped, or sent long ago) is not waited for.
      op: answer.after ? { ...item.op, after: await present(tx.objectStore('queue'), item.op.after) } : item.op,
    });
  }
  await tx.done;
  if (answers.some((answer) => answer.outcome === 'later' && answer.person)) tell('status', { factor: true });
}
async function present(of: { get: (id: Id) => Promise<Queued | undefined> }, ids: Id[]): Promise<Id[]> {
  const found = await Promise.all(ids.map(async (id) => { const item = await of.get(id); return item && (item.state === 'waiting' || item.state === 'later') ? [id] : []; }));
  return found.flat();
}

// --- files -----------------------------------------------------------------------------------------------------------

/** Send photographs in parts that fit the link; answers whether some operation waited for one. */
async function sendFiles(): Promise<boolean> {
  const queue = new Map((await store.queue()).map((item) => [item.op_id, item]));
  const files = (await store.db().getAll('files')).filter((file) => file.state === 'waiting').sort((a, b) => a.made_at - b.made_at);
  let awaited = false;
  tell('status', { busy: 'files', done: 0, of: files.length });
  for (const file of files) {
    const item = file.op ? queue.get(file.op) : undefined;
    if (item?.state === 'refused') continue; // its person corrects or drops it
    if (item && item.state === 'waiting') continue; // first the operation, then its photographs
    await sendFile(file);
    awaited ||= item?.state === 'later';
    tell('status', { done: status.done + 1 });
  }
  return awaited;
}

async function sendFile(file: Photo): Promise<void> {
  const device = store.current()!.device;
  type State = { received: number; attachment: string | null; refused: string };
  let state: State, part = FIRST_PART;
  try {
    state = await call<State>('POST', '/files', {
      device, id: file.id, op: file.op, name: file.name, size: file.size, sha256: file.sha256, taken_at: file.taken_at, lon: file.lon, lat: file.lat, accuracy_m: file.accuracy_m,
    });
    while (state.received < file.size && !state.refused) {
      const begun = performance.now();
      try {
        state = await call<State>('PUT', `/files/${file.id}?device=${device}&offset=${state.received}`, file.blob.slice(state.received, state.received + part), { seconds: 90 });
      } catch (error) {
        if (error instanceof Failure && error.code === 'phone.offset') { state = { ...state, received: Number(error.data.received) }; continue; }
        if (error instanceof Failure && error.code === 'phone.damaged' && ++damaged < 3) { state = { ...state, received: 0 }; continue; }
        throw error;
      }
      part = Math.max(8192, Math.min(MOST_PART, performance.now() - begun < QUICK_MS ? part * 2 : part / 2));
      tell('status', { bytes: state.received, size: file.size });
    }
  } catch (error) {
    if (!(error instanceof Failure) || error.passing || error.status === 401 || error.status === 403) throw error;
    state = { received: 0, attachment: null, refused: error.message };
  }
  await store.db().put('files', { ...file, sent: state.received, state: state.refused ? 'refused' : 'done', why: state.refused || undefined, blob: state.attachment ? new Blob() : file.blob });
}
let damaged = 0;

// --- the copy ----------------------------------------------------------------------------------------------------------

interface Page { parts: Record<string, unknown>; rows: { of: string; upsert: { id: Id }[]; gone: Id[] }[]; cursor: string; more: boolean; fresh: boolean; now: string }

async function takeCopy(): Promise<void> {
  const device = store.current()!.device;
  tell('status', { busy: 'copy', done: 0, of: 0, bytes: 0, size: 0 });
  const begun = Date.now();
  let taken = 0, more = true;
  while (more) {
    const since = (await store.meta<string>('cursor')) ?? '';
    const further = (await store.meta<string>('further')) ?? '';
    const page = await call<Page>('GET', `/bundle?device=${device}&since=${encodeURIComponent(since)}${further ? `&further=${further}` : ''}`, undefined, {
      seconds: 300, onBytes: (got, of) => tell('status', { bytes: taken + got, size: taken + of }),
    });
    taken += JSON.stringify(page).length;
    await keep(page);
    more = page.more;
  }
  await store.setMeta('spoke', begun);
  await prune();
  const me = await store.part<Me>('me');
  if (me?.second_factor && (status.factor || (await store.queue()).some((item) => item.person))) await letGo();
}

async function keep(page: Page): Promise<void> {
  if (page.fresh) await store.forgetCopy();
  const tx = store.db().transaction(['parts', 'rows', 'meta'], 'readwrite');
  for (const [name, value] of Object.entries(page.parts)) await tx.objectStore('parts').put(value, name);
  const rows = tx.objectStore('rows');
  for (const { of, upsert, gone } of page.rows) {
    for (const row of upsert) await rows.put({ of, id: row.id, row });
    for (const id of gone) await rows.delete([of, id]);
  }
  await tx.objectStore('meta').put(page.cursor, 'cursor');
  await tx.objectStore('meta').delete('further'); // with the cursor that goes on with it
  await tx.done;
}

/** Take along as many more entries of a register as the first time. */
export async function takeFurther(register: string): Promise<void> {
  await store.setMeta('further', register);
  await sync('asked');
}

/** The second factor was given: what waited for it goes with the next run. */
async function letGo(): Promise<void> {
  const tx = store.db().transaction('queue', 'readwrite');
  let some = false;
  for (const item of await tx.store.getAll()) if (item.person) { some = true; await tx.store.put({ ...item, person: false }); }
  await tx.done;
  tell('status', { factor: false });
  if (some) again = true;
}

const KEEP_SENT_MS = 3 * 86_400_000;
/** What was sent days ago, and its photographs, leave the device. */
async function prune(): Promise<void> {
  const tx = store.db().transaction(['queue', 'files'], 'readwrite'), old = Date.now() - KEEP_SENT_MS;
  for (const item of await tx.objectStore('queue').getAll()) {
    if (!item.answered_at || item.answered_at > old || item.state === 'refused') continue;
    const files = await tx.objectStore('files').index('op').getAll(item.op_id);
    if (files.some((file) => file.state === 'waiting')) continue;
    for (const file of files) await tx.objectStore('files').delete(file.id);
    await tx.objectStore('queue').delete(item.op_id);
  }
  await tx.done;
}

/** A copy that has not spoken with the server for its time deletes itself; what was done here stays until it can be sent. */
export async function expire(): Promise<void> {
  const me = await store.part<Me>('me'), spoke = await store.meta<number>('spoke');
  if (me && spoke && Date.now() - spoke > me.keep_days * 86_400_000) await store.forgetCopy();
}

export function start(): void {
  window.addEventListener('online', () => { tell('status', { network: true }); sync('back'); });
  window.addEventListener('offline', () => tell('status', { network: false }));
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible' && Date.now() - status.synced > 60_000) sync('back'); });
  window.setInterval(() => { if (document.visibilityState === 'visible' && !status.next && !status.signIn) sync('timer'); }, 120_000);
}

/** Something was done here: into the queue, and off if there is a network. */
export async function act(about: string, op: Omit<Op, 'seq' | 'after' | 'at'> & { at?: string }, draft?: string): Promise<Queued> {
  const item = await store.enqueue(about, op, draft);
  await count();
  tell('data');
  if (navigator.onLine) setTimeout(() => sync('queued'));
  return item;
}
