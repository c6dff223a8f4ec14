// The whole behaviour of the pages. Pages carry no script: they say what they need in attributes, and this file does it.
import './css/tokens.css';
import './css/base.css';
import './css/components.css';
import './css/shell.css';
import './css/desk.css';
import './css/registers.css';
import './css/loops.css';
import htmx from 'htmx.org';
import { startClock } from './clock.js';
import { startDrag } from './drag.js';
import { startKeys } from './keys.js';
import { startLive } from './live.js';
import { startForms } from './forms.js';
import { startSelect } from './select.js';
import { startSound } from './sound.js';

window.htmx = htmx; // htmx finds its own configuration in the page: no eval, no injected style

/** Loads the heavy parts only on pages that have something for them. */
function furnish(root) {
  const within = (selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  // Marked before the part is loaded: a page is looked over more than once, and must not get two maps in one place.
  const take = (name) => within(`[data-${name}]:not([data-ready])`).map((el) => { el.dataset.ready = '1'; return el; });
  const maps = take('map');
  if (maps.length) import('./map.js').then(({ drawMap }) => maps.forEach(drawMap));
  const picks = take('pick');
  if (picks.length) import('./pick.js').then(({ pickPoint }) => picks.forEach(pickPoint));
  const draws = take('draw');
  if (draws.length) import('./draw.js').then(({ drawArea }) => draws.forEach(drawArea));
  // On a narrow screen the tab one is on may lie outside the strip.
  for (const tab of within('.tabs > [aria-current]')) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;
  const charts = take('chart');
  if (charts.length) import('./chart.js').then(({ drawChart }) => charts.forEach(drawChart));
}

document.addEventListener('DOMContentLoaded', () => furnish(document.body));
if (document.readyState !== 'loading') furnish(document.body);
// Whether somebody looks: what a tab in the background fetches has been shown to nobody.
document.addEventListener('htmx:configRequest', (event) => { event.detail.headers['Anlan-Visible'] = document.visibilityState; });
document.addEventListener('htmx:load', (event) => furnish(event.detail.elt));

// What is folded on the page is printed whole.
addEventListener('beforeprint', () => document.querySelectorAll('main details:not([open])').forEach((el) => { el.open = true; el.dataset.folded = '1'; }));
addEventListener('afterprint', () => document.querySelectorAll('main details[data-folded]').forEach((el) => { el.open = false; delete el.dataset.folded; }));
startClock();
startForms();
startDrag();
startKeys();
startSelect();
startSound();
startLive();
