/** Forms drawn from the declarations of registers and steps: the same fields, checks and conditions as on the desk. */
import * as store from './db';
import { where } from './photo';
import type { FieldSpec, Row, RegisterSpec } from './types';
import { h, icon, say, stamp } from './ui';

export interface Form { el: HTMLElement; read: () => { values: Record<string, unknown>; faults: { field: string; why: string }[] }; show: (faults: { field: string; why: string }[]) => void }
type Values = Record<string, unknown>;
interface Control { spec: FieldSpec; box: HTMLElement; get: () => unknown; error: HTMLElement }

const empty = (value: unknown) => value === null || value === undefined || value === '' || (Array.isArray(value) && !value.length);

/** Whether `show_when` lets a field be asked: "kind=fire|flood". */
export function asked(spec: FieldSpec, values: Values): boolean {
  if (!spec.show_when) return true;
  const [name, wanted = ''] = spec.show_when.split('='), have = values[name];
  const held = Array.isArray(have) ? have.map(String) : [empty(have) ? '' : String(have)];
  return wanted.split('|').some((one) => held.includes(one));
}

/** What is wrong with one value, in words that say what to do; nothing when it is right. */
export function fault(spec: FieldSpec, value: unknown): string {
  if (empty(value)) return spec.required ? say('is missing') : '';
  const text = String(value);
  if (spec.kind === 'integer' && !/^-?\d+$/.test(text)) return say('a whole number is wanted');
  if (spec.kind === 'decimal' && !/^-?\d+(\.\d+)?$/.test(text)) return say('a number is wanted');
  if (spec.kind === 'integer' || spec.kind === 'decimal') {
    if (spec.min !== undefined && Number(text) < spec.min) return say('less than {limit}', { limit: spec.min });
    if (spec.max !== undefined && Number(text) > spec.max) return say('more than {limit}', { limit: spec.max });
  }
  if (spec.kind === 'phone' && (!/^[+\d()\-\s转#,;、/]+$/.test(text) || text.replace(/\D/g, '').length < 3)) return say('a telephone number is wanted');
  if (spec.kind === 'url' && !/^https?:\/\/\S+$/.test(text)) return say('an address beginning with http:// or https:// is wanted');
  if (typeof value === 'string' && spec.length && value.length > spec.length) return say('longer than {limit} characters', { limit: spec.length });
  if (typeof value === 'string' && spec.pattern) { try { if (!new RegExp(`^(?:${spec.pattern})$`, 'u').test(value)) return say('does not have the form asked for'); } catch { /* a pattern this browser cannot read is the server's to judge */ } }
  return '';
}

export function draw(specs: FieldSpec[], values: Values, places: { regions: [string, string][]; organisations: [string, string][] }, refs: Record<string, { spec: RegisterSpec; rows: Row[] }>, changed: (values: Values) => void): Form {
  const controls: Control[] = [], el = h('div.form');
  let group = '';
  const all = () => Object.fromEntries(controls.map((control) => [control.spec.name, control.get()]));
  const refresh = () => { const now = { ...values, ...all() }; for (const control of controls) control.box.hidden = !asked(control.spec, now); changed(all()); };
  for (const spec of specs) {
    if (spec.readonly) continue;
    if (spec.group && spec.group !== group) { group = spec.group; el.append(h('h2.group', group)); }
    const { input, get } = control(spec, values[spec.name] ?? spec.default ?? null, places, refs), id = `f-${spec.name}`, error = h('div.error', { hidden: true, role: 'alert' });
    if (input instanceof HTMLInputElement || input instanceof HTMLTextAreaElement || input instanceof HTMLSelectElement) input.id = id;
    const label = spec.label + (spec.required ? ' *' : '');
    const box = h('div.field', { 'data-name': spec.name }, spec.kind === 'bool' ? null : h('label', { for: id }, label), spec.unit ? h('div.field-unit', input, h('span.unit', spec.unit)) : spec.kind === 'bool' ? h('label.check', input, label) : input, spec.help ? h('div.help', spec.help) : null, error);
    controls.push({ spec, box, get, error });
    el.append(box);
  }
  el.addEventListener('input', refresh); el.addEventListener('change', refresh);
  const now = { ...values, ...all() };
  for (const one of controls) one.box.hidden = !asked(one.spec, now);
  const show = (faults: { field: string; why: string }[]) => {
    for (const one of controls) {
      const why = faults.find((item) => item.field === one.spec.name)?.why ?? '';
      one.error.textContent = why; one.error.hidden = !why; one.box.classList.toggle('invalid', !!why);
    }
    el.querySelector('.field.invalid')?.scrollIntoView({ block: 'center' });
  };
  return {
    el, show,
    read: () => {
      const found = all(), whole = { ...values, ...found }, out: Values = {}, faults: { field: string; why: string }[] = [];
      for (const { spec } of controls) {
        if (!asked(spec, whole)) continue;
        const why = fault(spec, found[spec.name]);
        if (why) faults.push({ field: spec.name, why });
        else out[spec.name] = found[spec.name];
      }
      return { values: out, faults };
    },
  };
}

function control(spec: FieldSpec, value: unknown, places: { regions: [string, string][]; organisations: [string, string][] }, refs: Record<string, { spec: RegisterSpec; rows: Row[] }>): { input: HTMLElement; get: () => unknown } {
  const text = empty(value) ? '' : String(value);
  const select = (options: [string, string][]) => {
    const input = h<HTMLSelectElement>('select', h('option', { value: '' }, '—'), options.map(([key, name]) => h('option', { value: key, selected: key === text }, name)));
    return { input, get: () => input.value };
  };
  if (spec.many && spec.choices) {
    const held = new Set((Array.isArray(value) ? value : []).map(String)), boxes = spec.choices.map(([key, name]) => [key, h<HTMLInputElement>('input', { type: 'checkbox', checked: held.has(key) }), name] as const);
    return { input: h('div.checks', boxes.map(([, box, name]) => h('label.check', box, name))), get: () => boxes.filter(([, box]) => box.checked).map(([key]) => key) };
  }
  if (spec.choices) {
    if (spec.choices.length > 5) return select(spec.choices);
    const name = `r-${spec.name}-${Math.random()}`, radios = spec.choices.map(([key, label]) => [key, h<HTMLInputElement>('input', { type: 'radio', name, checked: key === text }), label] as const);
    return { input: h('div.choices', { role: 'radiogroup', 'aria-label': spec.label }, radios.map(([, radio, label]) => h('label.choice', radio, h('span', label)))), get: () => radios.find(([, radio]) => radio.checked)?.[0] ?? '' };
  }
  switch (spec.kind) {
    case 'longtext': { const input = h<HTMLTextAreaElement>('textarea', { rows: 4, maxlength: spec.length }); input.value = text; return { input, get: () => input.value.trim() }; }
    case 'bool': { const input = h<HTMLInputElement>('input', { type: 'checkbox', checked: value === true }); return { input, get: () => input.checked }; }
    case 'region': return select(places.regions);
    case 'organisation': return select(places.organisations);
    case 'ref': { const other = refs[spec.ref ?? '']; return select((other?.rows ?? []).map((row) => [row.id, String(row.values[other.spec.title] ?? row.id.slice(-6))])); }
    case 'point': return point(value);
    case 'date': { const input = h<HTMLInputElement>('input', { type: 'date', value: text.slice(0, 10) }); return { input, get: () => input.value }; }
    case 'datetime': {
      const input = h<HTMLInputElement>('input', { type: 'datetime-local', value: text ? stamp(new Date(text)) : '' });
      return { input, get: () => (input.value ? new Date(input.value).toISOString() : '') };
    }
    case 'integer': case 'decimal': {
      const input = h<HTMLInputElement>('input', { inputmode: spec.kind === 'integer' ? 'numeric' : 'decimal', value: text, autocomplete: 'off' });
      // Full-width digits of a Chinese keyboard are digits.
      const plain = () => input.value.normalize('NFKC').replace(/[,\s]/g, '');
      return { input, get: () => (/^-?\d+(\.\d+)?$/.test(plain()) ? Number(plain()) : plain()) };
    }
    default: {
      const input = h<HTMLInputElement>('input', { type: spec.kind === 'phone' ? 'tel' : spec.kind === 'url' ? 'url' : 'text', value: text, maxlength: spec.length, autocomplete: 'off' });
      return { input, get: () => input.value.trim() };
    }
  }
}

function point(value: unknown): { input: HTMLElement; get: () => unknown } {
  const given = Array.isArray(value) ? (value as number[]) : null;
  const lon = h<HTMLInputElement>('input', { inputmode: 'decimal', 'aria-label': say('Longitude'), placeholder: say('Longitude'), value: given ? String(given[0]) : '' });
  const lat = h<HTMLInputElement>('input', { inputmode: 'decimal', 'aria-label': say('Latitude'), placeholder: say('Latitude'), value: given ? String(given[1]) : '' });
  const note = h('div.help'), here = h('button.btn', { type: 'button', onclick: async () => {
    note.textContent = say('Looking for this place.');
    const found = await where(15);
    if (!found) { note.textContent = say('This device does not say where it is. Type the position, or allow it in the browser.'); return; }
    lon.value = found.lon.toFixed(6); lat.value = found.lat.toFixed(6);
    note.textContent = found.accuracy_m ? say('to about {n} m', { n: found.accuracy_m }) : '';
    lon.dispatchEvent(new Event('input', { bubbles: true }));
  } }, icon('locate'), say('Where I stand'));
  return { input: h('div.point', here, h('div.row', lon, lat), note), get: () => (lon.value && lat.value ? [Number(lon.value), Number(lat.value)] : null) };
}

/** Everything a form may refer to, as far as this device has it. */
export async function surroundings(specs: FieldSpec[]): Promise<[{ regions: [string, string][]; organisations: [string, string][] }, Record<string, { spec: RegisterSpec; rows: Row[] }>]> {
  const places = (await store.part<{ regions: [string, string][]; organisations: [string, string][] }>('places')) ?? { regions: [], organisations: [] };
  const forms = (await store.part<{ registers: RegisterSpec[] }>('forms'))?.registers ?? [], refs: Record<string, { spec: RegisterSpec; rows: Row[] }> = {};
  for (const name of new Set(specs.map((spec) => spec.ref).filter(Boolean) as string[])) {
    const spec = forms.find((one) => one.name === name);
    if (spec) refs[name] = { spec, rows: await store.rowsOf<Row>(name) };
  }
  return [places, refs];
}
