/** Small means to draw with: elements from data (never from text as HTML), words the server translated, times, dialogs. */
import bell from 'lucide-static/icons/clipboard-check.svg?raw';
import map from 'lucide-static/icons/map.svg?raw';
import camera from 'lucide-static/icons/camera.svg?raw';
import me from 'lucide-static/icons/circle-user-round.svg?raw';
import back from 'lucide-static/icons/chevron-left.svg?raw';
import next from 'lucide-static/icons/chevron-right.svg?raw';
import off from 'lucide-static/icons/wifi-off.svg?raw';
import wait from 'lucide-static/icons/refresh-cw.svg?raw';
import check from 'lucide-static/icons/check.svg?raw';
import info from 'lucide-static/icons/info.svg?raw';
import alert from 'lucide-static/icons/circle-alert.svg?raw';
import pin from 'lucide-static/icons/map-pin.svg?raw';
import qr from 'lucide-static/icons/qr-code.svg?raw';
import list from 'lucide-static/icons/list.svg?raw';
import outbox from 'lucide-static/icons/send.svg?raw';
import trash from 'lucide-static/icons/trash-2.svg?raw';
import plus from 'lucide-static/icons/plus.svg?raw';
import minus from 'lucide-static/icons/minus.svg?raw';
import locate from 'lucide-static/icons/locate-fixed.svg?raw';
import clock from 'lucide-static/icons/clock.svg?raw';
import phone from 'lucide-static/icons/smartphone.svg?raw';
import danger from 'lucide-static/icons/triangle-alert.svg?raw';
import out from 'lucide-static/icons/log-out.svg?raw';
import tongue from 'lucide-static/icons/languages.svg?raw';

const ICONS = { bell, map, camera, me, back, next, off, wait, check, info, alert, pin, qr, list, outbox, trash, plus, minus, locate, clock, phone, danger, out, tongue };
export type IconName = keyof typeof ICONS;

type Child = Node | string | number | null | undefined | false | Child[];
type Attrs = Record<string, unknown>;
/** `h('a.btn', { href, onclick }, 'text')`: attributes by name, properties for booleans, listeners for on…; text is only ever text. */
export function h<T extends HTMLElement = HTMLElement>(what: string, attrs: Attrs | Child = null, ...children: Child[]): T {
  const [tag, ...classes] = what.split('.'), el = document.createElement(tag || 'div');
  if (classes.length) el.className = classes.join(' ');
  if (attrs !== null && typeof attrs === 'object' && !(attrs instanceof Node) && !Array.isArray(attrs)) {
    for (const [name, value] of Object.entries(attrs as Attrs)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) el.addEventListener(name.slice(2), value as EventListener);
      else if (name in el && typeof value !== 'string' && name !== 'style') (el as unknown as Attrs)[name] = value;
      else el.setAttribute(name, value === true ? '' : String(value));
    }
  } else children.unshift(attrs as Child);
  const add = (child: Child): void => { if (Array.isArray(child)) child.forEach(add); else if (child !== null && child !== undefined && child !== false) el.append(child instanceof Node ? child : String(child)); };
  children.forEach(add);
  return el as T;
}
const parser = new DOMParser();
export function icon(name: IconName, css = ''): Element {
  const svg = document.importNode(parser.parseFromString(ICONS[name].replace(/<!--.*?-->/s, ''), 'image/svg+xml').documentElement, true);
  svg.setAttribute('class', `icon ${css}`); svg.setAttribute('aria-hidden', 'true');
  return svg;
}

const words: Record<string, string> = JSON.parse(document.getElementById('words')?.textContent || '{}');
/** A sentence in the reader's language; the English one is its key (kernel/phone/words.py). */
export const say = (text: string, values: Record<string, unknown> = {}): string => (words[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
/** Marks a sentence that is said later, so that its translation is not forgotten. */
export const mark = (text: string): string => text;
export const language = () => document.documentElement.lang || 'zh-hans';

const two = (n: number) => String(n).padStart(2, '0');
let zone = 'Asia/Shanghai';
export const setZone = (name: string) => { zone = name; };
/** Local time of the installation, as one writes it: 14:05, 07-20 14:05, with the age in brackets. */
export function when(iso: string | number | null | undefined, age = true): string {
  if (!iso) return '—';
  const at = new Date(iso), parts = Object.fromEntries(new Intl.DateTimeFormat('en-CA', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' }).formatToParts(at).map((p) => [p.type, p.value]));
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date()) === `${parts.year}-${parts.month}-${parts.day}`;
  const text = today ? `${parts.hour}:${parts.minute}` : `${parts.month}-${parts.day} ${parts.hour}:${parts.minute}`;
  return age ? say('{time} ({age})', { time: text, age: span(Date.now() - at.getTime()) }) : text;
}
export function span(ms: number): string {
  const min = Math.round(Math.abs(ms) / 60_000), past = ms >= 0;
  if (min < 1) return say('now');
  if (min < 60) return past ? say('{n} min ago', { n: min }) : say('in {n} min', { n: min });
  if (min < 48 * 60) return past ? say('{n} h ago', { n: Math.round(min / 60) }) : say('in {n} h', { n: Math.round(min / 60) });
  return past ? say('{n} days ago', { n: Math.round(min / 1440) }) : say('in {n} days', { n: Math.round(min / 1440) });
}
/** What is left of a time limit, or how long it is over: 1:25, 2 d 3 h. */
export function left(iso: string): string {
  const ms = Date.parse(iso) - Date.now(), min = Math.floor(Math.abs(ms) / 60_000), hours = Math.floor(min / 60);
  const t = hours < 48 ? `${hours}:${two(min % 60)}` : say('{d} d {h} h', { d: Math.floor(hours / 24), h: hours % 24 });
  return ms < 0 ? say('overdue {t}', { t }) : say('{t} left', { t });
}
export const size = (bytes: number) => (bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`);
export const stamp = (at = new Date()) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;

export function toast(text: string): void {
  let box = document.querySelector<HTMLElement & { timer?: number }>('.toast');
  if (!box) { box = h('div.toast', { role: 'status' }); document.body.append(box); }
  box.textContent = text; clearTimeout(box.timer);
  box.timer = window.setTimeout(() => { box.textContent = ''; }, 5000);
}
/** Ask before what cannot be taken back; the button names what it does. */
export function ask(question: string, does: string, isDanger = false): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog = h<HTMLDialogElement>('dialog.sheet', { oncancel: () => resolve(false), onclose: () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); } },
      h('form.stack', { method: 'dialog' }, h('p', question), h('div.actions', h(`button.btn.btn-big.${isDanger ? 'btn-danger' : 'btn-primary'}`, { value: 'yes' }, does), h('button.btn.btn-big', { value: 'no' }, say('No, go back')))));
    document.body.append(dialog); dialog.showModal();
  });
}
/** A sheet from below with what `draw` gives; closed by the button, Escape or `close()`. */
export function sheet(title: string, draw: (close: () => void) => Child): void {
  const dialog = h<HTMLDialogElement>('dialog.sheet', { 'aria-label': title, onclose: () => dialog.remove() });
  const close = () => dialog.close();
  dialog.append(h('div.stack', h('div.row.between', h('h2', title), h('button.btn.btn-quiet', { type: 'button', onclick: close }, say('Close'))), draw(close)));
  document.body.append(dialog); dialog.showModal();
}
