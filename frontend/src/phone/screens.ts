/** The screens, one function each: (what is known, address) → what is shown. */
import * as store from './db';
import { draw, surroundings, type Form } from './form';
import { drawMap, type Ground, type Spot } from './map';
import { keepPhoto, where } from './photo';
import { scan } from './scan';
import { act, count, status, sync, takeFurther, tell } from './sync';
import type { Case, FieldSpec, Order, Photo, Queued } from './types';
import { ask, h, icon, left, mark, say, sheet, size, toast, when } from './ui';
import { OPEN, rows, text, title, type Picture } from './view';

export interface Screen { title?: string; tab: string; back?: string; el: Node; holds?: boolean }
type Draw = (known: Picture, rest: string[]) => Promise<Screen>;
const go = (to: string) => { location.hash = `#/${to}`; };
const gone = (tab: string): Screen => ({ tab, back: tab, el: h('p.empty', say('This is not on the device. It may have been closed, or needs a network.')) });
const realmOf = (known: Picture) => known.me?.realm.id ?? '';
const unsentMark = () => h('span.state', icon('clock', 'icon-small'), say('not sent yet'));
const due = (iso: string | null) => (iso ? h(`span.clock${Date.parse(iso) < Date.now() ? '.overdue' : ''}`, icon('clock', 'icon-small'), left(iso)) : null);
const STATES: Record<string, string> = { issued: mark('Issued'), delivered: mark('Delivered'), read: mark('Read'), accepted: mark('Accepted'), progress: mark('In progress'), done: mark('Done'), refused: mark('Refused'), withdrawn: mark('Withdrawn') };
const order_state = (order: Order) => say(STATES[order.state] ?? order.state) + (order.state === 'progress' ? ` ${order.percent} %` : '');

// --- orders and tasks ------------------------------------------------------------------------------------------------

/** What has reached this device, and what was opened, is said once. */
const saidOf = new Set<string>();
const once = (what: string) => !saidOf.has(what) && !!saidOf.add(what);
async function delivered(known: Picture): Promise<void> {
  for (const order of known.orders) if (order.mine && order.state === 'issued' && once(`delivered ${order.id}`)) await act(`order:${order.id}`, { op_id: store.uuid7(), kind: 'orders.deliver', realm: order.realm, title: order.text.slice(0, 80), order: order.id, files: [] });
}

const orders: Draw = async (known, [tab = '']) => {
  await delivered(known);
  const open = known.orders.filter((order) => OPEN.includes(order.state)), closed = known.orders.filter((order) => !OPEN.includes(order.state));
  const shown = tab === 'done' ? closed : open, mine = known.cases.filter((one) => one.steps.length || one.with || one.unsent);
  const card = (order: Order) => h(`a.item${order.real && known.me?.realm.kind !== 'actual' ? '.real' : ''}${['issued', 'delivered'].includes(order.state) ? '.new' : ''}`, { href: `#/order/${order.id}` },
    h('div.row.between', h('span.state', order_state(order)), OPEN.includes(order.state) ? due(order.due_at) : null), h('div.text', order.text), h('div.row.between.muted.small', h('span', order.place || order.post), order.unsent ? unsentMark() : h('span', when(order.issued_at))));
  return {
    tab: 'orders',
    el: h('div.stack', h('nav.tabs', h('a', { href: '#/orders', 'aria-current': tab ? null : 'page' }, say('Open orders'), open.length ? ` ${open.length}` : ''), h('a', { href: '#/orders/done', 'aria-current': tab === 'done' ? 'page' : null }, say('Done'))),
      shown.length ? h('div.stack-small', shown.map(card)) : h('p.empty', tab === 'done' ? say('No order was closed in the last days.') : say('No open orders.')),
      tab ? null : [
        mine.length ? h('section.stack-small', h('h2', say('Cases with me')), mine.map((one) => caseCard(known, one))) : null,
        known.tasks.length ? h('section.stack-small', h('h2', say('Waits for my post')), known.tasks.map((task) => h('a.item', { href: inside(known, task.subject) || task.url || '#/orders' }, h('div.text', task.text), h('div.row.between.muted.small', h('span', task.place), due(task.due_at))))) : null,
      ]),
  };
};

/** The screen of a record that is on this device; what is not opens on the desk's pages, with a network. */
function inside(known: Picture, subject: string): string {
  const [kind, id] = subject.split(':');
  if (kind === 'order' && known.orders.some((order) => order.id === id)) return `#/order/${id}`;
  return known.cases.some((one) => one.id === id) ? `#/case/${id}` : '';
}

function caseCard(known: Picture, one: Case): Node {
  const loop = known.loops.find((item) => item.name === one.loop);
  return h('a.item', { href: `#/case/${one.id}` }, h('div.row.between', h('span.state', loop?.states.find((state) => state.name === one.state)?.label ?? one.state), due(one.due_at)), h('div.text', one.title), h('div.row.between.muted.small', h('span', `${loop?.one ?? ''} ${one.number}`), one.unsent ? unsentMark() : h('span', one.place)));
}

const order: Draw = async (known, [id]) => {
  const found = known.orders.find((one) => one.id === id);
  if (!found) return gone('orders');
  const about = `order:${id}`, base = { realm: found.realm, title: found.text.slice(0, 80), order: id };
  if (found.mine && ['issued', 'delivered'].includes(found.state) && once(`read ${id}`)) { await act(about, { ...base, op_id: store.uuid7(), kind: 'orders.read', files: [] }); found.state = 'read'; }
  const answer = async (kind: string, more: { text?: string; percent?: number; files?: string[] } = {}) => { await act(about, { ...base, op_id: store.uuid7(), kind, files: [], ...more }); };
  const photos = picker([]), words = h<HTMLTextAreaElement>('textarea', { rows: 2, maxlength: 2000, id: 'say', 'aria-label': say('In words') });
  let percent = found.percent;
  const steps = h('div.stack-small', h('div.choices.five', { role: 'radiogroup', 'aria-label': say('Progress') }, [10, 25, 50, 75, 90].map((n) => h('label.choice', h<HTMLInputElement>('input', { type: 'radio', name: 'percent', value: n, checked: n === found.percent, onchange: () => { percent = n; } }), h('span', `${n} %`)))));
  const form: Node[] = [];
  if (['issued', 'delivered', 'read'].includes(found.state)) {
    form.push(h('button.btn.btn-primary.btn-big', { type: 'button', onclick: () => answer('orders.accept') }, say('Accept the order')));
    form.push(refusal(async (why) => answer('orders.refuse', { text: why })));
  } else if (['accepted', 'progress'].includes(found.state)) {
    form.push(photos.el, h('div.field', h('label', { for: 'say' }, say('In words')), words), steps,
      h('button.btn.btn-big', { type: 'button', onclick: async () => { if (!percent) { toast(say('Choose how far it is.')); return; } await answer('orders.progress', { percent, text: words.value.trim(), files: photos.ids() }); go('orders'); } }, say('Report progress')),
      h('button.btn.btn-primary.btn-big', { type: 'button', onclick: async () => { await answer('orders.done', { text: words.value.trim(), files: photos.ids() }); go('orders'); } }, say('It is done')));
  }
  return {
    tab: 'orders', back: 'orders', holds: ['accepted', 'progress'].includes(found.state),
    el: h('div.stack', h('section.card.stack-small', h('div.row.between', h('span.state', order_state(found)), due(found.due_at)), h('p.order-text', found.text),
      facts([[say('To'), found.post], [say('Place'), found.place], [say('Issued'), when(found.issued_at)], [say('Order given by'), found.from], [say('Clause'), found.clause], [say('Deadline'), found.due_at ? when(found.due_at) : '']])),
    found.mine && OPEN.includes(found.state) ? h('section.card.stack', form) : null,
    found.receipts.length ? h('section.card', h('h2', say('Answers')), h('ol.timeline', found.receipts.map((line) => h('li', h('time', when(line.at, false)), h('div', say(STATES[line.state] ?? line.state), line.percent !== null && line.state === 'progress' ? ` ${line.percent} %` : '', line.text ? h('div.muted', line.text) : null, line.unsent ? unsentMark() : null))))) : null),
  };
};

function refusal(does: (why: string) => Promise<void>): Node {
  const why = h<HTMLTextAreaElement>('textarea', { rows: 2, required: true, maxlength: 1000, 'aria-label': say('Reason') });
  return h('details', h('summary', say('It cannot be done')), h('form.stack-small', { onsubmit: async (event: Event) => { event.preventDefault(); if (why.value.trim()) await does(why.value.trim()); } }, h('label', say('Reason'), why), h('button.btn.btn-danger.btn-big', say('Refuse with this reason'))));
}
const facts = (pairs: [string, string | Node | null][]) => h('dl.facts', pairs.filter(([, value]) => value).map(([name, value]) => [h('dt', name), h('dd', value)]));

// --- photographs -----------------------------------------------------------------------------------------------------

interface Picker { el: HTMLElement; ids: () => string[] }
/** Photo first: one large button; what is taken is kept at once, with time and place. */
function picker(have: Photo[], changed: () => void = () => {}, prominent = false): Picker {
  const kept = [...have], strip = h('div.photos');
  const paint = () => strip.replaceChildren(...kept.map((photo) => {
    const url = URL.createObjectURL(photo.blob);
    return h('figure', h('img', { src: url, alt: photo.name, onload: () => URL.revokeObjectURL(url) }), h('figcaption', [photo.taken_at.slice(5, 16), photo.lon !== null ? say('with place') : say('without place')].filter(Boolean).join(' · ')),
      h('button.btn.btn-quiet', { type: 'button', 'aria-label': say('Remove this photograph'), onclick: async () => { kept.splice(kept.indexOf(photo), 1); await store.db().delete('files', photo.id); paint(); changed(); } }, icon('trash', 'icon-small')));
  }));
  const input = h<HTMLInputElement>('input.visually-hidden', { type: 'file', accept: 'image/*', capture: 'environment', multiple: true, onchange: async () => {
    for (const file of [...(input.files ?? [])].slice(0, 10)) {
      try { kept.push(await keepPhoto(file)); } catch { toast(say('{name} is no photograph this device can read.', { name: file.name })); }
    }
    input.value = ''; paint(); changed();
  } });
  paint();
  return { el: h('div.stack-small', h(`label.btn.btn-big${prominent ? '.btn-primary' : ''}.photo-button`, input, icon('camera'), say('Take a photograph')), strip), ids: () => kept.map((photo) => photo.id) };
}
const photosOf = async (ids: string[]) => (await Promise.all(ids.map((id) => store.db().get('files', id)))).filter((photo): photo is Photo => !!photo && photo.state === 'draft');

// --- the map ---------------------------------------------------------------------------------------------------------

const map: Draw = async (known) => {
  const ground = (await store.part<Ground>('map')) ?? { bbox: null, features: [] };
  const layers: { name: string; label: string; spots: Spot[] }[] = [{ name: 'cases', label: say('Cases with me'), spots: known.cases.filter((one) => one.lon !== null && one.lat !== null).map((one) => ({ lon: one.lon!, lat: one.lat!, label: one.title, kind: one.number, open: () => go(`case/${one.id}`) })) }];
  for (const register of known.registers) {
    const found = (await rows(register, known.queue)).filter((row) => row.lon !== null && row.lat !== null);
    if (found.length) layers.push({ name: register.name, label: register.label, spots: found.map((row) => ({ lon: row.lon!, lat: row.lat!, label: title(register, row), kind: register.one, open: () => go(`row/${register.name}/${row.id}`) })) });
  }
  const hidden = new Set<string>(JSON.parse(sessionStorage.getItem('anlan.layers') || '[]')), spots = () => layers.filter((layer) => !hidden.has(layer.name)).flatMap((layer) => layer.spots);
  const drawn = drawMap(ground, spots(), null, (hit) => (hit.length === 1 ? hit[0].open() : sheet(say('{n} here', { n: hit.length }), (close) => h('div.stack-small', hit.slice(0, 60).map((spot) => h('button.item', { type: 'button', onclick: () => { close(); spot.open(); } }, h('div.text', spot.label), h('div.muted.small', spot.kind)))))));
  const find = h('button.btn.here', { type: 'button', onclick: async () => { const at = await where(15); if (at) drawn.setMine(at); else toast(say('This device does not say where it is. Allow it in the browser.')); } }, icon('locate'), say('Where I stand'));
  const legend = h('details.map-layers', h('summary', say('Layers')), layers.map((layer) => h('label.check', h<HTMLInputElement>('input', { type: 'checkbox', checked: !hidden.has(layer.name), onchange: (event: Event) => {
    if ((event.target as HTMLInputElement).checked) hidden.delete(layer.name); else hidden.add(layer.name);
    sessionStorage.setItem('anlan.layers', JSON.stringify([...hidden])); drawn.setSpots(spots());
  } }), `${layer.label} (${layer.spots.length})`)));
  return { tab: 'map', el: h('div.map-screen', drawn.el, legend, find, ground.features.length ? null : h('p.map-empty', say('No boundaries of your regions are on this device.'))), holds: true };
};

// --- reporting -------------------------------------------------------------------------------------------------------

const report: Draw = async (known) => {
  const drafts = await store.db().getAll('drafts'), waiting = (await store.db().getAll('files')).filter((file) => file.state === 'draft' && !drafts.some((draft) => draft.photos.includes(file.id)));
  const photos = picker(waiting, () => {}, true);
  const to = (address: string) => async () => { sessionStorage.setItem('anlan.photos', JSON.stringify(photos.ids())); go(address); };
  const writable = known.registers.filter((register) => register.writable), openable = known.loops.filter((loop) => loop.open.may && loop.open.form.length); // what has no form is opened by other means
  return {
    title: say('Report in'), tab: 'report', holds: true,
    el: h('div.stack', h('section.card.stack-small', photos.el, h('p.muted.small', say('Photograph first, words later. Time and place are kept with it.'))),
      openable.length || writable.length ? h('section.stack-small', h('h2', say('What is it?')),
        openable.map((loop) => h('button.item.pick', { type: 'button', onclick: to(`open/${loop.name}`) }, icon('danger'), h('span', loop.open.label), icon('next'))),
        writable.map((register) => h('button.item.pick', { type: 'button', onclick: to(`edit/${register.name}/new`) }, icon('plus'), h('span', say('New entry: {what}', { what: register.one })), icon('next')))) : h('p.empty', say('Nothing can be reported from here yet. Take the copy along with a network first.')),
      h('section.stack-small', h('h2', say('Open by label')), h('button.item.pick', { type: 'button', onclick: () => scan(known) }, icon('qr'), h('span', say('Scan a label or type its code')), icon('next'))),
      drafts.length ? h('section.stack-small', h('h2', say('Drafts')), drafts.map((draft) => h('a.item', { href: `#/${draft.key}` }, h('div.text', draft.title || say('Draft')), h('div.muted.small', when(draft.at), draft.photos.length ? ` · ${say('{n} photographs', { n: draft.photos.length })}` : '')))) : null),
  };
};

/** A form with photographs whose every keystroke is kept: closed, killed or without power, it is there again. */
async function sheetForm(known: Picture, key: string, specs: FieldSpec[], given: Record<string, unknown>, does: string, draftTitle: (values: Record<string, unknown>) => string, withPhotos: boolean, send: (values: Record<string, unknown>, files: string[]) => Promise<void>, faults: { field: string; why: string }[] = [], confirm = '', photosNeeded = 0): Promise<{ el: HTMLElement; form: Form }> {
  const draft = await store.db().get('drafts', key), fresh = JSON.parse(sessionStorage.getItem('anlan.photos') || '[]') as string[];
  sessionStorage.removeItem('anlan.photos');
  const photos = picker(await photosOf([...new Set([...(draft?.photos ?? []), ...fresh])]), () => keep());
  const [places, refs] = await surroundings(specs);
  let values = { ...given, ...draft?.values }, sent = false;
  const keep = () => { if (!sent) store.keepDraft({ key, values, photos: photos.ids(), at: Date.now(), title: draftTitle(values) }); };
  const form = draw(specs, values, places, refs, (now) => { values = { ...values, ...now }; keep(); });
  if (fresh.length) keep();
  const button = h<HTMLButtonElement>('button.btn.btn-primary.btn-big', does);
  const el = h('form.stack', { novalidate: true, onsubmit: async (event: Event) => {
    event.preventDefault();
    const read = form.read();
    form.show(read.faults);
    if (read.faults.length) { toast(say('{n} entries are missing or wrong.', { n: read.faults.length })); return; }
    if (photos.ids().length < photosNeeded) { toast(say('{n} photographs are needed.', { n: photosNeeded })); return; }
    if (confirm && !(await ask(confirm, does))) return;
    button.disabled = true; sent = true;
    await send(read.values, photos.ids());
    await store.dropDraft(key);
  } }, withPhotos ? h('section.card', photos.el, photosNeeded ? h('p.muted.small', say('{n} photographs are needed.', { n: photosNeeded })) : null) : null, h('section.card', form.el), button);
  if (faults.length) setTimeout(() => form.show(faults));
  return { el, form };
}

const open: Draw = async (known, [name]) => {
  const loop = known.loops.find((one) => one.name === name);
  if (!loop) return gone('report');
  const key = `open/${name}`, today = new Date().toISOString().slice(0, 10);
  const given: Record<string, unknown> = {};
  for (const field of loop.open.form) if (field.kind === 'date' && field.required) given[field.name] = today;
  const titleOf = (values: Record<string, unknown>) => `${loop.one}: ${values.title ?? ''}`;
  const { el } = await sheetForm(known, key, loop.open.form, given, loop.open.label, titleOf, true, async (values, files) => {
    const id = store.uuid7();
    await act(`${loop.subject}:${id}`, { op_id: store.uuid7(), kind: 'loop.open', realm: realmOf(known), title: String(values.title ?? loop.one).slice(0, 150), loop: loop.name, case: id, values, files }, key);
    toast(say('Kept. It is sent as soon as there is a network.')); go('orders');
  }, [], loop.open.confirm, loop.open.evidence.photos);
  return { title: loop.open.label, tab: 'report', back: 'report', el, holds: true };
};

const caseOf: Draw = async (known, [id]) => {
  const found = known.cases.find((one) => one.id === id), loop = known.loops.find((one) => one.name === found?.loop);
  if (!found || !loop) return gone('orders');
  const steps = loop.steps.filter((step) => found.steps.includes(step.name));
  return {
    title: found.title, tab: 'orders', back: 'orders',
    el: h('div.stack', h('section.card.stack-small', h('div.row.between', h('span.state', loop.states.find((state) => state.name === found.state)?.label ?? found.state), due(found.due_at)), facts([[loop.one, found.number], [say('With'), found.with], [say('Place'), found.place], ...found.shown.map(([label, value]) => [label, value] as [string, string])])),
      steps.length ? h('section.stack-small', steps.map((step) => h(`a.btn.btn-big${step.danger ? '' : '.btn-primary'}`, { href: `#/step/${id}/${step.name}` }, step.label))) : null,
      h('a.btn', { href: `#/step/${id}/comment` }, say('Add a remark or photographs')),
      h('section.card', h('h2', say('What happened')), found.timeline.length ? h('ol.timeline', found.timeline.map((line) => h('li', h('time', when(line.at, false)), h('div', line.label || say('Remark'), ' ', h('span.muted', line.who), line.note ? h('div.pre-line', line.note) : null)))) : h('p.muted', say('Nothing yet.')))),
  };
};

const step: Draw = async (known, [id, name]) => {
  const found = known.cases.find((one) => one.id === id), loop = known.loops.find((one) => one.name === found?.loop), chosen = loop?.steps.find((one) => one.name === name);
  if (!found || !loop || (!chosen && name !== 'comment')) return gone('orders');
  const key = `step/${id}/${name}`, about = `${loop.subject}:${id}`, base = { realm: found.realm, title: `${found.number} ${found.title}`.slice(0, 150), loop: loop.name, case: id };
  if (!chosen) {
    const { el } = await sheetForm(known, key, [{ name: 'text', label: say('Remark'), kind: 'longtext', required: false, length: 2000 }], {}, say('Add it'), () => `${found.number}: ${say('Remark')}`, true, async (values, files) => {
      if (!values.text && !files.length) return;
      await act(about, { ...base, op_id: store.uuid7(), kind: 'loop.comment', text: String(values.text ?? ''), files }, key); go(`case/${id}`);
    });
    return { title: say('Add a remark or photographs'), tab: 'orders', back: `case/${id}`, el, holds: true };
  }
  const { el } = await sheetForm(known, key, chosen.form, found.values, chosen.label, () => `${found.number}: ${chosen.label}`, true, async (values, files) => {
    await act(about, { ...base, op_id: store.uuid7(), kind: 'loop.step', step: chosen.name, values, files, version: found.version }, key);
    toast(say('Kept. It is sent as soon as there is a network.')); go('orders');
  }, [], chosen.confirm, chosen.evidence.photos);
  return { title: `${chosen.label}: ${found.number}`, tab: 'orders', back: `case/${id}`, el, holds: true };
};

// --- registers -------------------------------------------------------------------------------------------------------

const LISTED = 200;
/** How many entries of a register are not on this device; above this it is only known that there are more. */
const COUNTED = 10_000;
const missing = (known: Picture, name: string): string => {
  const number = known.left[name] ?? 0;
  return number > COUNTED ? say('More than {n} further entries are not on this device; they need a network.', { n: COUNTED.toLocaleString() }) : number ? say('{n} further entries are not on this device; they need a network.', { n: number.toLocaleString() }) : '';
};
const registers: Draw = async (known) => ({
  title: say('Registers'), tab: 'me', back: 'me',
  el: known.registers.length ? h('div.stack-small', await Promise.all(known.registers.map(async (one) => h('a.item.pick', { href: `#/register/${one.name}` }, icon('list'), h('span', one.label), h('span.muted', String(await store.db().countFromIndex('rows', 'of', one.name)), missing(known, one.name) ? '+' : ''), icon('next'))))) : h('p.empty', say('No register is on this device.')),
});

const register: Draw = async (known, [name]) => {
  const found = known.registers.find((one) => one.name === name);
  if (!found) return gone('me');
  const all = await rows(found, known.queue), list = h('div.stack-small'), search = h<HTMLInputElement>('input', { type: 'search', placeholder: say('Name or code'), 'aria-label': say('Search'), oninput: () => paint() });
  const paint = () => {
    const wanted = search.value.trim().toLowerCase(), hits = wanted ? all.filter((row) => Object.keys({ ...row.values, ...row.shown }).some((key) => text(row, key).toLowerCase().includes(wanted))) : all;
    list.replaceChildren(...(hits.length ? hits.slice(0, LISTED).map((row) => h('a.item', { href: `#/row/${name}/${row.id}` }, h('div.text', title(found, row)), h('div.row.between.muted.small', h('span', found.note.map((one) => text(row, one)).filter(Boolean).join(' · ')), row.unsent ? unsentMark() : row.stale ? h('span', say('not verified lately')) : null))) : [h('p.empty', say('Nothing of that name is on this device.'))]),
      ...(hits.length > LISTED ? [h('p.muted.small', say('{n} more; type more of the name.', { n: hits.length - LISTED }))] : []));
  };
  paint();
  return { title: found.label, tab: 'me', back: 'registers', el: h('div.stack', search, found.writable ? h('a.btn', { href: `#/edit/${name}/new` }, icon('plus'), say('New entry: {what}', { what: found.one })) : null, list,
    missing(known, name) ? h('section.card.stack-small', h('p', missing(known, name)), h('button.btn', { type: 'button', onclick: (event: Event) => { (event.target as HTMLButtonElement).disabled = true; takeFurther(name); } }, say('Take more of them along'))) : null), holds: true };
};

const row: Draw = async (known, [name, id]) => {
  const spec = known.registers.find((one) => one.name === name), found = spec && (await rows(spec, known.queue)).find((one) => one.id === id);
  if (!spec || !found) return gone('me');
  const about = `${spec.subject}:${id}`, base = { realm: realmOf(known), title: `${spec.one} ${title(spec, found)}`.slice(0, 150), register: spec.name, row: id };
  return {
    title: title(spec, found), tab: 'me', back: `register/${name}`,
    el: h('div.stack', h('section.card.stack-small', found.unsent ? unsentMark() : null, facts([...spec.fields.filter((field) => field.kind !== 'point' && field.name !== spec.title).map((field) => [field.label, text(found, field.name)] as [string, string]), [say('Position'), found.lon !== null ? `${found.lon.toFixed(5)}, ${found.lat!.toFixed(5)}` : ''], [say('Last verified'), found.verified_at ? when(found.verified_at) : say('never')]])),
      spec.writable ? h('a.btn.btn-primary.btn-big', { href: `#/edit/${name}/${id}` }, say('Change this entry')) : null,
      spec.verifiable ? h('button.btn.btn-big', { type: 'button', onclick: async () => { await act(about, { ...base, op_id: store.uuid7(), kind: 'register.verify', files: [] }); toast(say('Kept as verified today.')); } }, icon('check'), say('All of it is right: verified')) : null,
      spec.fields.some((field) => field.personal) ? h('p.muted.small', say('Personal data are masked on the telephone; the desk shows them to who may see them.')) : null),
  };
};

const edit: Draw = async (known, [name, id]) => {
  const spec = known.registers.find((one) => one.name === name), fresh = id === 'new', all = spec ? await rows(spec, known.queue) : [], found = all.find((one) => one.id === id);
  if (!spec || (!fresh && !found)) return gone('me');
  const key = `edit/${name}/${id}`, fields = spec.fields.filter((field) => !field.readonly && (fresh || !field.personal));
  const given: Record<string, unknown> = { ...found?.values };
  if (found && found.lon !== null) given.point = [found.lon, found.lat];
  const { el } = await sheetForm(known, key, fields, given, fresh ? say('Enter it') : say('Change it'), (values) => `${spec.one}: ${values[spec.title] ?? ''}`, fresh, async (values, files) => {
    if (fresh) {
      const made = store.uuid7(), filled = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '' && value !== null && !(Array.isArray(value) && !value.length)));
      await act(`${spec.subject}:${made}`, { op_id: store.uuid7(), kind: 'register.create', realm: realmOf(known), title: `${spec.one} ${values[spec.title] ?? ''}`.slice(0, 150), register: spec.name, row: made, values: filled, files }, key);
      go(`row/${name}/${made}`);
    } else {
      const same = (a: unknown, b: unknown) => JSON.stringify(a === undefined || a === '' ? null : a) === JSON.stringify(b === undefined || b === '' ? null : b);
      const changed = Object.fromEntries(Object.entries(values).filter(([field, value]) => !same(value, given[field])));
      if (Object.keys(changed).length) {
        const seen = Object.fromEntries(Object.keys(changed).map((field) => [field, given[field] ?? null]));
        await act(`${spec.subject}:${id}`, { op_id: store.uuid7(), kind: 'register.change', realm: realmOf(known), title: `${spec.one} ${title(spec, found!)}`.slice(0, 150), register: spec.name, row: id, values: changed, base: seen, version: found!.version, files: [] }, key);
      } else await store.dropDraft(key);
      go(`row/${name}/${id}`);
    }
    toast(say('Kept. It is sent as soon as there is a network.'));
  });
  return { title: fresh ? say('New entry: {what}', { what: spec.one }) : title(spec, found!), tab: fresh ? 'report' : 'me', back: fresh ? 'report' : `row/${name}/${id}`, el, holds: true };
};

// --- the queue -------------------------------------------------------------------------------------------------------

const OUTCOMES: Record<string, string> = {
  waiting: mark('Waits for a network'), later: mark('Waits'), done: mark('Done'), merged: mark('Done; others changed other fields'), conflict: mark('Disputed: somebody changed the same field. Its owner decides.'),
  kept: mark('No longer possible by itself. It is kept, and a person decides.'), refused: mark('Not taken. Correct it or drop it.'),
};
const outcome = (item: Queued) => (item.state === 'later' ? (item.person ? say('Waits for your second factor.') : item.needs?.length ? say('Waits for its photographs') : item.why || say('Waits')) : say(OUTCOMES[item.state]));

const WHAT: Record<string, string> = {
  'orders.deliver': mark('Order delivered'), 'orders.read': mark('Order read'), 'orders.accept': mark('Order accepted'), 'orders.progress': mark('Progress of an order'), 'orders.done': mark('Order done'), 'orders.refuse': mark('Order refused'),
  'register.create': mark('New entry in a register'), 'register.change': mark('Change in a register'), 'register.verify': mark('Entry verified'), 'loop.open': mark('Case opened'), 'loop.step': mark('Step of a case'), 'loop.comment': mark('Remark on a case'),
};

const queue: Draw = async (known) => {
  const files = await store.db().getAll('files'), waiting = known.queue.filter((item) => item.state === 'waiting' || item.state === 'later'), wrong = known.queue.filter((item) => ['refused', 'kept', 'conflict'].includes(item.state)).reverse(), sent = known.queue.filter((item) => ['done', 'merged'].includes(item.state)).reverse();
  const line = (item: Queued) => {
    const mine = files.filter((file) => file.op === item.op_id), left = mine.filter((file) => file.state === 'waiting').length, bad = mine.filter((file) => file.state === 'refused');
    return h(`div.item.queued`, { 'data-state': item.state }, h('div.row.between', h('b', say(WHAT[item.op.kind] ?? item.op.kind)), h('span.muted.small', when(item.op.at))), h('div.text', item.op.title), h('div.small', outcome(item), left ? ` · ${say('{n} photographs to send', { n: left })}` : ''),
      item.why && item.state !== 'later' ? h('div.small.strong', item.why) : null, item.fields?.length ? h('ul.small', item.fields.map((one) => h('li', `${one.field}: ${one.why}`))) : null, bad.map((file) => h('div.small.strong', `${file.name}: ${file.why}`)),
      h('div.actions', item.state === 'refused' ? h('button.btn', { type: 'button', onclick: () => correct(item) }, say('Correct it')) : null,
        ['waiting', 'later', 'refused'].includes(item.state) ? h('button.btn', { type: 'button', onclick: async () => { if (await ask(say('“{what}” of {time} will be gone for good, with its photographs.', { what: item.op.title, time: when(item.op.at) }), say('Drop it'), true)) { await store.drop(item.op_id); await count(); tell('data'); } } }, icon('trash'), say('Drop it')) : null));
  };
  const group = (label: string, items: Queued[]) => (items.length ? h('section.stack-small', h('h2', `${label} (${items.length})`), items.slice(0, 100).map(line), items.length > 100 ? h('p.muted.small', say('and {n} more', { n: items.length - 100 })) : null) : null);
  return {
    title: say('What I did'), tab: 'me', back: 'me',
    el: h('div.stack', waiting.length ? h('button.btn.btn-primary.btn-big', { type: 'button', disabled: !status.network || !!status.busy, onclick: () => sync('asked') }, icon('wait'), say('Send now')) : null, group(say('Not sent'), waiting), group(say('Needs attention'), wrong), group(say('Sent'), sent), known.queue.length ? null : h('p.empty', say('Nothing done here waits to be sent.'))),
  };
};

/** A refused entry goes back into its form, with what was wrong beside the fields; sending it makes a new operation. */
async function correct(item: Queued): Promise<void> {
  const { op } = item, key = op.kind === 'loop.open' ? `open/${op.loop}` : op.kind === 'loop.step' ? `step/${op.case}/${op.step}` : op.kind === 'register.create' ? `edit/${op.register}/new` : op.kind === 'register.change' ? `edit/${op.register}/${op.row}` : op.order ? `order/${op.order}` : '';
  if (!key) return;
  const tx = store.db().transaction(['queue', 'files', 'drafts'], 'readwrite');
  const photos: string[] = [];
  for (const id of op.files) {
    const file = await tx.objectStore('files').get(id);
    if (!file?.blob.size) continue;
    await tx.objectStore('files').delete(id);
    photos.push(store.uuid7()); // a new operation's photographs have new keys
    await tx.objectStore('files').put({ ...file, id: photos.at(-1)!, op: null, state: 'draft', sent: 0, why: undefined });
  }
  if (!op.order) await tx.objectStore('drafts').put({ key, values: op.values ?? {}, photos, at: Date.now(), title: op.title });
  await tx.objectStore('queue').delete(item.op_id);
  await tx.done;
  await count(); go(key);
}

// --- me --------------------------------------------------------------------------------------------------------------

const me: Draw = async (known) => {
  const set = document.body.dataset, synced = await store.meta<number>('synced'), taken = await store.db().count('rows'), used = (await navigator.storage?.estimate?.())?.usage;
  const csrf = () => decodeURIComponent(document.cookie.split('; ').find((one) => one.startsWith('csrftoken='))?.slice(10) ?? '');
  const form = (action: string, fields: Record<string, string>, ...button: (Node | string)[]) => h('form', { method: 'post', action, onsubmit: (event: Event) => { (event.target as HTMLFormElement).querySelector('input')!.value = csrf(); } }, h('input', { type: 'hidden', name: 'csrfmiddlewaretoken', value: csrf() }), Object.entries(fields).map(([name, value]) => h('input', { type: 'hidden', name, value })), h('button.btn', ...button));
  const bar = status.busy === 'copy' && status.size ? h('progress', { max: String(status.size), value: String(Math.min(status.bytes, status.size)) }) : null;
  return {
    tab: 'me',
    el: h('div.stack', h('section.card.stack-small', h('h1', known.me?.person ?? ''), (known.me?.posts ?? []).map((post) => h('p', post.name))),
      h('section.card.stack-small', h('h2', say('Copy on this device')), facts([[say('Last taken along'), synced ? when(synced) : say('never')], [say('Orders'), String(known.orders.length)], [say('Register entries'), String(taken)], [say('Space used'), used ? size(used) : '']]), bar, status.busy === 'copy' && status.size ? h('p.muted.small', say('{got} of {of}', { got: size(status.bytes), of: size(status.size) })) : null,
        h('button.btn.btn-primary.btn-big', { type: 'button', disabled: !status.network || !!status.busy, onclick: () => sync('asked') }, icon('wait'), status.network ? say('Take along for the shift') : say('No network'))),
      h('nav.stack-small', h('a.item.pick', { href: '#/queue' }, icon('outbox'), h('span', say('What I did')), status.unsent ? h('span.count', say('{n} not sent', { n: status.unsent })) : null, icon('next')), h('a.item.pick', { href: '#/registers' }, icon('list'), h('span', say('Registers')), icon('next')), h('a.item.pick', { href: set.devices! }, icon('phone'), h('span', say('My devices')), icon('next'))),
      h('div.actions', form(set.language!, { next: set.home!, language: document.documentElement.lang === 'en' ? 'zh-hans' : 'en' }, icon('tongue'), document.documentElement.lang === 'en' ? '中文' : 'English'),
        h('button.btn', { type: 'button', onclick: signOut }, icon('out'), say('Sign out and clear this device'))), h('p.muted.small', say('A copy that finds no network for {n} days deletes itself. What you did stays until it is sent.', { n: known.me?.keep_days ?? 7 }))),
  };
};

async function signOut(): Promise<void> {
  const left = status.unsent;
  if (!(await ask(left ? say('{n} things are not sent and will be lost.', { n: left }) : say('The copy on this device is deleted.'), say('Sign out and clear this device'), true))) return;
  const account = store.current()?.account;
  if (account) await store.wipe(account);
  const form = h<HTMLFormElement>('form', { method: 'post', action: document.body.dataset.signOut }, h('input', { type: 'hidden', name: 'csrfmiddlewaretoken', value: decodeURIComponent(document.cookie.split('; ').find((one) => one.startsWith('csrftoken='))?.slice(10) ?? '') }));
  document.body.append(form);
  if (navigator.onLine) form.submit(); else location.reload();
}

export const screens: Record<string, Draw> = { orders, order, map, report, open, case: caseOf, step, registers, register, row, edit, queue, me };
