// Small helps for forms: one op_id per filled-in form (a double press is one act), conditional fields, drafts, submit on change.
import { say, toast } from './text.js';

const uuid7 = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const ms = BigInt(Date.now());
  for (let i = 0; i < 6; i++) bytes[i] = Number((ms >> BigInt(8 * (5 - i))) & 255n);
  bytes[6] = (bytes[6] & 15) | 112; bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

function showWhen(form) {
  form.querySelectorAll('[data-show-when]').forEach((el) => {
    const [name, values] = el.dataset.showWhen.split('=');
    const field = form.elements[name];
    const held = field instanceof RadioNodeList ? [...field].filter((one) => one.checked).map((one) => one.value) : [field?.type === 'checkbox' ? (field.checked ? 'on' : '') : field?.value ?? ''];
    el.hidden = !(values ?? 'on').split('|').some((value) => held.includes(value));
  });
}

const draftKey = (form) => `draft:${location.pathname}:${form.dataset.draft}`;
const plain = (field) => field && 'value' in field && field.type !== 'hidden' && field.type !== 'password' && field.type !== 'file';
// Kept with the value it replaces: a draft comes back only where nobody changed the field since.
function keepDraft(form) {
  const kept = {};
  for (const [name, value] of new FormData(form)) {
    const field = form.elements[name];
    if (typeof value === 'string' && plain(field) && value !== form.begun[name]) kept[name] = [form.begun[name] ?? '', value];
  }
  localStorage.setItem(draftKey(form), JSON.stringify(kept));
}
function bringDraft(form) {
  form.begun = Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === 'string'));
  const kept = JSON.parse(localStorage.getItem(draftKey(form)) || 'null');
  if (!kept) return;
  let brought = false;
  for (const [name, [before, value]] of Object.entries(kept)) {
    const field = form.elements[name];
    if (plain(field) && field.value === before && value !== before) { field.value = value; brought = true; field.dispatchEvent(new Event('change', { bubbles: true })); }
  }
  if (brought) toast(say('draft'));
}

function prepare(root) {
  root.querySelectorAll('form').forEach((form) => {
    if (form.method === 'post' && !form.querySelector('[name="op_id"]')) {
      const field = Object.assign(document.createElement('input'), { type: 'hidden', name: 'op_id', value: uuid7() });
      form.append(field);
    } else if (form.elements.op_id && !form.elements.op_id.value) form.elements.op_id.value = uuid7();
    if (form.querySelector('[data-show-when]')) { showWhen(form); form.addEventListener('input', () => showWhen(form)); }
    if (form.dataset.draft !== undefined) { bringDraft(form); form.addEventListener('input', () => keepDraft(form)); form.addEventListener('submit', () => localStorage.removeItem(draftKey(form))); }
  });
}

export function startForms() {
  const begin = () => prepare(document);
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin); else begin();
  document.addEventListener('htmx:load', (event) => event.detail.elt.parentElement && prepare(event.detail.elt.parentElement));
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) { event.preventDefault(); return; }
    // A second press while the first is on its way would be answered the same (op_id), but it looks broken: hold the buttons.
    if (form.method === 'post' && !event.defaultPrevented) setTimeout(() => form.querySelectorAll('button:not([type="button"])').forEach((b) => { b.disabled = true; setTimeout(() => { b.disabled = false; }, 4000); }));
  });
  document.addEventListener('change', (event) => { if (event.target.matches('[data-submit-on-change]')) event.target.form.requestSubmit(); });
  document.addEventListener('click', (event) => {
    // Filters change the address without a new page; what leads on from here takes them along.
    const carry = event.target.closest('a[data-with-query]');
    if (carry) { const now = new URLSearchParams(location.search); now.delete('page'); carry.search = now.toString(); }
    const el = event.target.closest('[data-print],[data-copy],[data-open],[data-close],[data-toggle],[data-back],[data-copy-link]');
    if (!el) return;
    if ('print' in el.dataset) { event.preventDefault(); window.print(); }
    if ('back' in el.dataset) { event.preventDefault(); history.back(); }
    if ('copy' in el.dataset) navigator.clipboard?.writeText(el.dataset.copy).then(() => toast(say('copied')));
    if ('copyLink' in el.dataset) navigator.clipboard?.writeText(location.href).then(() => toast(say('copied')));
    // A view is saved as the list stands now: filters change the address without a new page.
    if ('open' in el.dataset) document.getElementById(el.dataset.open)?.querySelectorAll('[data-location-query]').forEach((field) => { field.value = location.search.slice(1); });
    if ('open' in el.dataset) document.getElementById(el.dataset.open)?.showModal?.();
    if ('close' in el.dataset) el.closest('dialog')?.close();
    if ('toggle' in el.dataset) { const target = document.getElementById(el.dataset.toggle); if (target) target.hidden = !target.hidden; }
  });
  window.addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); }); // a page from the back cache shows an old state as if it were now
}
