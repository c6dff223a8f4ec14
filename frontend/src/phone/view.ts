/** What a person sees: the copy with what was done here laid over it, so that the screen tells the truth before the server knows it. */
import * as store from './db';
import type { Case, LoopSpec, Me, Order, Queued, RegisterSpec, Row, Task } from './types';
import { say } from './ui';

export const OPEN = ['issued', 'delivered', 'read', 'accepted', 'progress'];
const unsent = (item: Queued) => item.state === 'waiting' || item.state === 'later';
let copied = 0;
/** What the copy does not know yet: not sent, or done after the copy was asked for. */
const pending = (items: Queued[]) => items.filter((item) => unsent(item) || (['done', 'merged'].includes(item.state) && (item.answered_at ?? 0) > copied));

export interface Picture { me: Me | undefined; queue: Queued[]; orders: Order[]; tasks: Task[]; cases: Case[]; registers: RegisterSpec[]; loops: LoopSpec[]; left: Record<string, number> }

export async function picture(): Promise<Picture> {
  const [me, queue, orders, tasks, cases, forms, left] = await Promise.all([
    store.part<Me>('me'), store.queue(), store.part<Order[]>('orders'), store.part<Task[]>('tasks'), store.part<Case[]>('cases'), store.part<{ registers: RegisterSpec[]; loops: LoopSpec[] }>('forms'), store.part<Record<string, number>>('left'),
  ]);
  copied = (await store.meta<number>('spoke')) ?? 0;
  const mine = pending(queue), loops = forms?.loops ?? [];
  return { me, queue, left: left ?? {}, tasks: tasks ?? [], registers: forms?.registers ?? [], loops, orders: (orders ?? []).map((order) => overOrder(order, mine)), cases: overCases(cases ?? [], mine, loops) };
}

const ORDER_STATE: Record<string, string> = { 'orders.deliver': 'delivered', 'orders.read': 'read', 'orders.accept': 'accepted', 'orders.progress': 'progress', 'orders.done': 'done', 'orders.refuse': 'refused' };
function overOrder(order: Order, items: Queued[]): Order {
  const mine = items.filter((item) => item.op.order === order.id);
  if (!mine.length) return order;
  const made = { ...order, receipts: [...order.receipts] };
  for (const item of mine) {
    const { op } = item;
    made.state = ORDER_STATE[op.kind] ?? made.state;
    if (op.percent !== undefined) made.percent = op.percent;
    if (unsent(item) && op.kind !== 'orders.deliver' && op.kind !== 'orders.read') made.unsent = true;
    made.receipts.push({ state: made.state, at: op.at, text: op.text ?? '', percent: op.percent ?? null, unsent: unsent(item) });
  }
  return made;
}

function overCases(cases: Case[], items: Queued[], loops: LoopSpec[]): Case[] {
  const made = new Map(cases.map((one) => [one.id, { ...one, timeline: [...one.timeline] }]));
  for (const item of items) {
    const { op } = item, loop = loops.find((one) => one.name === op.loop);
    if (!loop || !op.case) continue;
    if (op.kind === 'loop.open' && !made.has(op.case)) {
      made.set(op.case, {
        id: op.case, loop: loop.name, version: 0, number: String(item.answer?.number ?? say('not sent yet')), title: op.title, state: loop.open.to, since: op.at, due_at: null, lon: null, lat: null, place: '', realm: op.realm, steps: [], with: '', values: op.values ?? {}, shown: [], timeline: [],
      });
    }
    const row = made.get(op.case), step = loop.steps.find((one) => one.name === op.step);
    if (!row) continue;
    row.unsent ||= unsent(item);
    if (op.kind === 'loop.step' && step) { row.state = step.to; row.steps = loop.steps.filter((one) => one.may && one.from.includes(step.to)).map((one) => one.name); }
    row.timeline.push({ at: op.at, label: op.kind === 'loop.open' ? loop.open.label : step?.label ?? '', kind: 'mine', who: unsent(item) ? say('not sent yet') : '', note: op.text ?? '' });
  }
  return [...made.values()];
}

export async function rows(register: RegisterSpec, queue: Queued[]): Promise<Row[]> {
  const found = new Map((await store.rowsOf<Row>(register.name)).map((row) => [row.id, row]));
  for (const item of pending(queue)) {
    const { op } = item;
    if (op.register !== register.name || !op.row) continue;
    const before = found.get(op.row) ?? { id: op.row, version: 0, lon: null, lat: null, verified_at: null, stale: false, values: {}, shown: {} };
    const shown = { ...before.shown };
    for (const [name, value] of Object.entries(op.values ?? {})) shown[name] = shownValue(register, name, value);
    const point = op.values?.point as [number, number] | null | undefined;
    found.set(op.row, { ...before, lon: point?.[0] ?? before.lon, lat: point?.[1] ?? before.lat, values: { ...before.values, ...op.values }, shown, verified_at: op.kind === 'register.verify' ? op.at : before.verified_at, stale: op.kind === 'register.verify' ? false : before.stale, unsent: before.unsent || unsent(item) });
  }
  return [...found.values()].sort((a, b) => title(register, a).localeCompare(title(register, b), 'zh'));
}
function shownValue(register: RegisterSpec, name: string, value: unknown): string {
  const spec = register.fields.find((field) => field.name === name), option = (one: unknown) => spec?.choices?.find(([key]) => key === String(one))?.[1] ?? String(one);
  if (value === null || value === undefined || value === '') return '';
  return Array.isArray(value) ? value.map(option).join('、') : typeof value === 'boolean' ? (value ? say('yes') : say('no')) : option(value) + (spec?.unit ? ` ${spec.unit}` : '');
}
export const text = (row: Row, name: string): string => row.shown[name] ?? (Array.isArray(row.values[name]) ? (row.values[name] as unknown[]).join('、') : row.values[name] === undefined || row.values[name] === null ? '' : String(row.values[name]));
export const title = (register: RegisterSpec, row: Row): string => text(row, register.title) || row.id.slice(-6);
