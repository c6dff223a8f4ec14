// Rows chosen in a list: boxes in the table, a bar that says how many and what can be done with them.
// <form data-choose id="…"> holds the bar; boxes belong to it by form="…" name="row"; [data-choose-all] is the box of the head.
import { say } from './text.js';

const boxes = (form) => [...form.elements].filter((el) => el.name === 'row');

function count(form) {
  const all = boxes(form), chosen = all.filter((box) => box.checked);
  const head = [...form.elements].find((el) => el.matches('[data-choose-all]'));
  if (head) { head.checked = all.length > 0 && chosen.length === all.length; head.indeterminate = chosen.length > 0 && chosen.length < all.length; }
  const everything = form.elements.all;
  if (everything && chosen.length < all.length) everything.checked = false;
  const bar = form.querySelector('[data-chosen]');
  bar.hidden = chosen.length === 0;
  const whole = form.querySelector('[data-whole]');
  if (whole) whole.hidden = chosen.length < all.length;
  bar.querySelector('[data-count]').textContent = say('chosen', { n: (everything?.checked ? Number(everything.value) : chosen.length).toLocaleString('en') });
  all.forEach((box) => box.closest('tr')?.setAttribute('aria-selected', box.checked));
}

export function startSelect() {
  let last = null;
  document.addEventListener('change', (event) => {
    const form = event.target.form;
    if (!form?.matches?.('form[data-choose]')) return;
    if (event.target.matches('[data-choose-all]')) boxes(form).forEach((box) => { box.checked = event.target.checked; });
    count(form);
  });
  document.addEventListener('click', (event) => {
    const box = event.target;
    if (!box.matches?.('input[name="row"]') || !box.form?.matches('form[data-choose]')) return;
    const all = boxes(box.form);
    if (event.shiftKey && last && last.form === box.form) { // from the last pressed to this one, as in a file list
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      all.slice(from, to + 1).forEach((one) => { one.checked = box.checked; });
    }
    last = box;
  });
  document.addEventListener('click', (event) => {
    if (!event.target.closest?.('[data-choose-none]')) return;
    const form = event.target.closest('form[data-choose]');
    boxes(form).forEach((box) => { box.checked = false; });
    count(form);
  });
  // Whoever fills a field in means it to be set.
  document.addEventListener('input', (event) => {
    const field = event.target.closest('.bulk-field');
    if (field && event.target.name !== 'set') field.querySelector('input[name="set"]').checked = true;
  });
  // A page that comes back with boxes still set (history, reload) says so.
  const begin = () => document.querySelectorAll('form[data-choose]').forEach(count);
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin); else begin();
  document.addEventListener('htmx:load', begin);
}
