// The map: quiet ground from our own boundaries, data on top. The legend is the layer switch and says how fresh each layer is.
import 'maplibre-gl/dist/maplibre-gl.css';
import * as maplibregl from 'maplibre-gl';
// The default bundle looks for its worker beside the page; the build knows where it really is.
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { age, now } from './clock.js';
import { say, token } from './text.js';

maplibregl.setWorkerUrl(workerUrl);
export const { Marker } = maplibregl;

const LEVELS = ['red', 'orange', 'yellow', 'blue'];
const RANK = ['match', ['get', 'level'], 'red', 4, 'orange', 3, 'yellow', 2, 'blue', 1, 0];
const byLevel = (value, other) => ['match', ['get', 'level'], ...LEVELS.flatMap((level) => [level, value(level)]), other];
const FONT = ['Noto Sans Regular']; // only a name: glyphs are drawn from the fonts of this machine

/** A level's shape (circle, diamond, triangle, square) as an image, twice as large as shown. */
function shape(level, size, ink) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = size;
  const g = canvas.getContext('2d'), c = size / 2, r = size / 2 - 3;
  g.beginPath();
  if (level === 'orange') { g.moveTo(c, 2); g.lineTo(size - 2, c); g.lineTo(c, size - 2); g.lineTo(2, c); g.closePath(); }
  else if (level === 'yellow') { g.moveTo(c, 3); g.lineTo(size - 2, size - 4); g.lineTo(2, size - 4); g.closePath(); }
  else if (level === 'blue') g.rect(4, 4, size - 8, size - 8);
  else g.arc(c, c, r, 0, 7);
  g.fillStyle = level ? token(level) : token('calm'); g.fill();
  g.lineWidth = 3; g.strokeStyle = ink; g.stroke();
  return g.getImageData(0, 0, size, size);
}
/** An incident: a dark pin, not a warning colour. */
function pin(ink, paper) {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 48;
  const g = canvas.getContext('2d');
  g.beginPath(); g.moveTo(24, 46); g.bezierCurveTo(8, 28, 8, 22, 8, 18); g.arc(24, 18, 16, Math.PI, 0); g.bezierCurveTo(40, 22, 40, 28, 24, 46); g.closePath();
  g.fillStyle = ink; g.fill(); g.strokeStyle = paper; g.lineWidth = 3; g.stroke();
  g.fillStyle = paper; g.fillRect(21.5, 9, 5, 12); g.fillRect(21.5, 23, 5, 4.5);
  return g.getImageData(0, 0, 48, 48);
}

/** A register's rows: how fresh, by fill as well as by colour: full = checked in time, half = some are, hollow = none is. */
function freshDot(state) {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 88;
  const g = canvas.getContext('2d');
  const disc = (from, to, fill) => { g.beginPath(); g.moveTo(44, 44); g.arc(44, 44, 40, from, to); g.closePath(); g.fillStyle = fill; g.fill(); };
  disc(0, 7, token('surface'));
  if (state === 'fresh') disc(0, 7, token('accent')); else if (state === 'mixed') disc(Math.PI / 2, Math.PI * 1.5, token('accent-soft'));
  g.beginPath(); g.arc(44, 44, 40, 0, 7); g.lineWidth = 6; g.strokeStyle = state === 'stale' ? token('ink-2') : token('accent');
  if (state === 'stale') g.setLineDash([14, 9]);
  g.stroke();
  if (state === 'fresh') { g.setLineDash([]); g.lineWidth = 3; g.strokeStyle = token('surface'); g.beginPath(); g.arc(44, 44, 43, 0, 7); g.stroke(); }
  return g.getImageData(0, 0, 88, 88);
}

/** A plan's places: depot (square), need that is met (ring filled), short (ring hollow, thick), blocked road (cross). Shapes, not colours. */
function mark(kind) {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 44;
  const g = canvas.getContext('2d'), paper = token('surface'), ink = token('ink');
  g.lineWidth = 5; g.strokeStyle = kind === 'idle' ? token('ink-3') : ink; g.fillStyle = kind === 'met' ? token('accent') : kind === 'depot' ? ink : paper;
  g.beginPath();
  if (kind === 'cross') { g.lineWidth = 15; g.strokeStyle = paper; g.moveTo(10, 10); g.lineTo(34, 34); g.moveTo(34, 10); g.lineTo(10, 34); g.stroke(); g.lineWidth = 8; g.strokeStyle = ink; g.stroke(); return g.getImageData(0, 0, 44, 44); }
  if (kind === 'depot' || kind === 'idle') g.rect(8, 8, 28, 28); else g.arc(22, 22, 14, 0, 7);
  g.fill(); g.stroke();
  return g.getImageData(0, 0, 44, 44);
}
const MARKS = ['depot', 'idle', 'met', 'short', 'cross'];

/** The mark as the legend shows it. */
function keyOf(kind) {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 44;
  canvas.getContext('2d').putImageData(mark(kind), 0, 0);
  return canvas;
}

function levelBadge(level) {
  const badge = document.createElement('span'); badge.className = `level level-${level || 'none'}`;
  if (level) badge.innerHTML = { red: '<svg viewBox="0 0 16 16"><circle cx="8" cy="8" r="7.5"/></svg>', orange: '<svg viewBox="0 0 16 16"><path d="M8 .2 15.8 8 8 15.8.2 8z"/></svg>', yellow: '<svg viewBox="0 0 16 16"><path d="M8 1 15.8 15H.2z"/></svg>', blue: '<svg viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14"/></svg>' }[level] ?? '';
  badge.append(say(level || 'none'));
  return badge;
}

function words(properties, full) {
  const box = document.createElement('div'); box.className = 'stack-small';
  const head = document.createElement(full && properties.url ? 'a' : 'b'); head.textContent = properties.name ?? '';
  if (head.href !== undefined) head.href = properties.url;
  box.append(head);
  if (properties.level) { const line = document.createElement('div'); line.append(levelBadge(properties.level)); box.append(line); }
  if (properties.text) { const line = document.createElement('div'); line.textContent = properties.text; box.append(line); }
  return box;
}

/** The layers of the style for one layer of ours. */
function styleOf(layer) {
  const source = layer.id, id = layer.id;
  const halo = { 'text-halo-color': token('map-halo'), 'text-halo-width': 1.4, 'text-color': token('map-ink') };
  if (id === 'regions') return [
    { id: 'regions-fill', type: 'fill', source, filter: ['in', ['get', 'kind'], ['literal', ['county', 'city', 'province']]], paint: { 'fill-color': token('map-land'), 'fill-antialias': false } },
    { id: 'towns-line', type: 'line', source, minzoom: 8.5, filter: ['==', ['get', 'kind'], 'town'], paint: { 'line-color': token('map-line-2'), 'line-width': 0.8 } },
    { id: 'regions-line', type: 'line', source, filter: ['==', ['get', 'kind'], 'county'], layout: { 'line-join': 'round' }, paint: { 'line-color': token('map-line'), 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 0.8, 11, 1.8] } },
    { id: 'city-line', type: 'line', source, filter: ['in', ['get', 'kind'], ['literal', ['city', 'province']]], layout: { 'line-join': 'round' }, paint: { 'line-color': token('map-line'), 'line-width': 2.4 } },
  ];
  if (layer.kind === 'line') return [{ id: `${id}-name`, type: 'symbol', source, minzoom: 9.5, layout: { 'symbol-placement': 'line', 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': 11, 'symbol-spacing': 320 }, paint: { 'text-color': token('map-water-ink'), 'text-halo-color': token('map-halo'), 'text-halo-width': 1.2 } }, { id, type: 'line', source, layout: { 'line-join': 'round', 'line-cap': 'round' }, paint: { 'line-color': token('map-water'), 'line-width': ['interpolate', ['linear'], ['zoom'], 7, ['match', ['coalesce', ['get', 'order'], 1], 1, 0.6, 2, 1.2, 3, 2, 2.6], 12, ['match', ['coalesce', ['get', 'order'], 1], 1, 1.6, 2, 3, 3, 5, 7]] } }];
  // What can be gone to (bands lie over one another, the nearest is darkest), and a danger area: shapes of our own, not a warning's colours.
  if (layer.kind === 'reach' || layer.kind === 'danger') return [
    { id: `${id}-fill`, type: 'fill', source, paint: { 'fill-color': token(layer.kind === 'reach' ? 'accent' : 'ink-2'), 'fill-opacity': 0.17 } },
    { id: `${id}-line`, type: 'line', source, paint: { 'line-color': token(layer.kind === 'reach' ? 'accent' : 'ink'), 'line-width': layer.kind === 'reach' ? 1 : 2, ...(layer.kind === 'danger' ? { 'line-dasharray': [3, 1.5] } : {}) } },
  ];
  if (layer.kind === 'area') return [
    { id: `${id}-fill`, type: 'fill', source, paint: { 'fill-color': byLevel(token, token('calm')), 'fill-opacity': 0.22 } },
    { id: `${id}-line`, type: 'line', source, paint: { 'line-color': byLevel(token, token('calm')), 'line-width': 2, 'line-dasharray': [3, 1.5] } },
  ];
  if (id === 'incidents') return [{ id, type: 'symbol', source, layout: { 'icon-image': 'pin', 'icon-size': 0.5, 'icon-anchor': 'bottom', 'icon-allow-overlap': true, 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': 13, 'text-offset': [0, 0.2], 'text-anchor': 'top', 'text-optional': true }, paint: halo }];
  if (layer.tiles) return [
    { id, type: 'symbol', source, layout: { 'icon-image': ['concat', 'fresh-', ['get', 'state']], 'icon-size': ['interpolate', ['linear'], ['ln', ['get', 'n']], 0, 0.42, 2, 0.8, 9, 1.3], 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'text-ignore-placement': true, 'text-allow-overlap': true, 'text-field': ['case', ['>', ['get', 'n'], 1], ['get', 'label'], ''], 'text-font': FONT, 'text-size': 12 }, paint: { 'text-color': ['match', ['get', 'state'], 'fresh', token('on-accent'), token('ink')] } },
    { id: `${id}-name`, type: 'symbol', source, minzoom: 11, filter: ['==', ['get', 'n'], 1], layout: { 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': 11, 'text-offset': [0, 1.1], 'text-anchor': 'top', 'text-optional': true }, paint: halo },
  ];
  if (layer.kind === 'flow') return [{ id: `${id}-halo`, type: 'line', source, layout: { 'line-cap': 'round' }, paint: { 'line-color': token('map-halo'), 'line-width': 6, 'line-opacity': 0.7 } }, { id, type: 'line', source, layout: { 'line-cap': 'round' }, paint: { 'line-color': token('accent'), 'line-width': ['interpolate', ['linear'], ['get', 'n'], 1, 2, 6, 4.5] } }];
  if (layer.marks) return [
    { id, type: 'symbol', source, layout: { 'icon-image': ['concat', 'mark-', ['get', 'mark']], 'icon-size': 0.8, 'icon-allow-overlap': true, 'icon-ignore-placement': true } },
    { id: `${id}-name`, type: 'symbol', source, minzoom: 8, layout: { 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': 12, 'text-offset': [0, 1], 'text-anchor': 'top', 'text-optional': true }, paint: halo },
  ];
  const size = ['interpolate', ['linear'], ['zoom'], 7, ['match', ['get', 'level'], ['', 'none'], 0.26, 0.42], 12, ['match', ['get', 'level'], ['', 'none'], 0.42, 0.6]];
  return [
    { id: `${id}-group`, type: 'symbol', source, filter: ['has', 'point_count'], layout: { 'icon-image': ['match', ['get', 'worst'], 4, 'lv-red', 3, 'lv-orange', 2, 'lv-yellow', 1, 'lv-blue', 'lv-'], 'icon-size': ['interpolate', ['linear'], ['get', 'point_count'], 2, 0.7, 200, 1.1], 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'text-ignore-placement': true, 'text-field': ['get', 'point_count_abbreviated'], 'text-font': FONT, 'text-size': 11, 'text-allow-overlap': true, 'symbol-sort-key': ['get', 'worst'] }, paint: { 'text-color': ['match', ['get', 'worst'], 3, token('on-orange'), 2, token('on-yellow'), 4, token('on-red'), 1, token('on-blue'), '#ffffff'] } },
    { id, type: 'symbol', source, filter: ['!', ['has', 'point_count']], layout: { 'icon-image': byLevel((level) => `lv-${level}`, 'lv-'), 'icon-size': size, 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'symbol-sort-key': RANK } },
    { id: `${id}-name`, type: 'symbol', source, minzoom: 11, filter: ['!', ['has', 'point_count']], layout: { 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': 11, 'text-offset': [0, 0.9], 'text-anchor': 'top', 'text-optional': true }, paint: halo },
  ];
}

const NEWS = { gauges: /^(sensing\.(SignalChanged|Gauge)|stream)/, alerts: /^(warning|stream)/, incidents: /^(command|stream)/ };

export async function drawMap(el) {
  el.dataset.ready = '1';
  const fail = (word) => { el.innerHTML = ''; const p = document.createElement('p'); p.className = 'waiting-word'; p.textContent = word; el.append(p); };
  let config;
  try { config = await (await fetch(el.dataset.map, { credentials: 'same-origin' })).json(); } catch { return fail(say('failed')); }
  let map;
  // A layer in tiles is asked for what the window shows: the server groups a million rows, the page gets some hundred points.
  const window_ = (layer) => {
    const view = map?.getBounds(), at = view ? [view.getWest(), view.getSouth(), view.getEast(), view.getNorth()] : config.bbox;
    return `${layer.tiles}${layer.tiles.includes('?') ? '&' : '?'}bbox=${at.map((x) => x.toFixed(5)).join(',')}&zoom=${(map?.getZoom() ?? 8).toFixed(1)}`;
  };
  const ask = async (layer) => layer.data ?? (await (await fetch(layer.tiles ? window_(layer) : layer.url, { credentials: 'same-origin' })).json());
  // All layers are on their way while the map itself still starts; they are laid down in their order.
  const asked = new Map(config.layers.filter((layer) => !layer.tiles).map((layer) => [layer.id, ask(layer).catch(() => null)]));
  const holder = document.createElement('div'); el.append(holder);
  const box = config.bbox ?? [73, 18, 135, 54];
  try {
    map = new maplibregl.Map({
      container: holder, bounds: box, fitBoundsOptions: { padding: 24 }, attributionControl: false, dragRotate: false, pitchWithRotate: false, maxPitch: 0, maxZoom: 17,
      localIdeographFontFamily: token('font'), fadeDuration: 0, canvasContextAttributes: { preserveDrawingBuffer: true }, locale: { 'Map.Title': say('map.label'), 'NavigationControl.ZoomIn': say('map.in'), 'NavigationControl.ZoomOut': say('map.out'), 'Popup.Close': say('close') },
      style: { version: 8, sources: {}, layers: [{ id: 'ground', type: 'background', paint: { 'background-color': token('map-sea') } }] },
    });
  } catch { return fail(say('map.nogl')); }
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 110, unit: 'metric' }), 'bottom-left');
  const at = Object.assign(document.createElement('div'), { className: 'map-at' }); el.append(at);
  const coordinates = (p) => { at.textContent = `${p.lng.toFixed(4)}°, ${p.lat.toFixed(4)}°  z${map.getZoom().toFixed(1)}`; };
  map.on('mousemove', (event) => coordinates(event.lngLat)); map.on('move', () => coordinates(map.getCenter()));
  coordinates(map.getCenter());
  const legend = el.dataset.wall === undefined ? startLegend(el, config, map) : null;

  await new Promise((done) => map.on('load', done));
  const paper = token('surface');
  LEVELS.forEach((level) => map.addImage(`lv-${level}`, shape(level, 44, paper), { pixelRatio: 2 }));
  map.addImage('lv-', shape('', 44, paper), { pixelRatio: 2 });
  ['fresh', 'mixed', 'stale'].forEach((state) => map.addImage(`fresh-${state}`, freshDot(state), { pixelRatio: 2 }));
  MARKS.forEach((kind) => map.addImage(`mark-${kind}`, mark(kind), { pixelRatio: 2 }));
  map.addImage('pin', pin(token('ink'), paper), { pixelRatio: 1 });

  const load = async (layer) => {
    const first = asked.get(layer.id); asked.delete(layer.id);
    const data = await (first ?? ask(layer));
    if (!data) throw new Error(layer.id);
    const source = map.getSource(layer.id);
    if (source) source.setData(data);
    else {
      map.addSource(layer.id, { type: 'geojson', data, ...(layer.cluster ? { cluster: true, clusterRadius: 34, clusterMaxZoom: 10, clusterProperties: { worst: ['max', RANK] } } : {}) });
      styleOf(layer).forEach((part) => map.addLayer(part));
      if (layer.on === false) show(map, layer, false);
      if (layer.id === 'regions') names(map, data);
    }
    legend?.fresh(layer.id, data.freshness ?? new Date(now()).toISOString(), data.total ?? data.features.length);
  };
  for (const layer of config.layers) { try { await load(layer); } catch { legend?.fresh(layer.id, null, 0); } }
  // Labels and points stay above areas, whatever came first.
  ['rivers-name', 'region-names', 'gauges-group', 'gauges', 'gauges-name', 'incidents'].forEach((id) => map.getLayer(id) && map.moveLayer(id));
  if (config.mark) { const dot = document.createElement('div'); dot.className = 'dot'; new maplibregl.Marker({ color: token('accent') }).setLngLat(config.mark).addTo(map); }

  const points = () => ['gauges', 'incidents', ...config.layers.filter((l) => l.kind === 'point').map((l) => l.id)].filter((id, i, all) => all.indexOf(id) === i && map.getLayer(id));
  const popup = new maplibregl.Popup({ closeButton: false, closeOnClick: true, offset: 10, maxWidth: '280px', focusAfterOpen: false });
  let held = false;
  const found = (point) => map.queryRenderedFeatures([[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]], { layers: points() })[0];
  map.on('mousemove', (event) => {
    const feature = found(event.point); map.getCanvas().style.cursor = feature ? 'pointer' : '';
    if (held) return;
    if (feature) popup.setLngLat(feature.geometry.coordinates.slice()).setDOMContent(words(feature.properties, false)).addTo(map); else popup.remove();
  });
  popup.on('close', () => { held = false; });
  map.on('click', async (event) => {
    const feature = found(event.point);
    if (feature?.properties.n > 1) { map.easeTo({ center: feature.geometry.coordinates, zoom: map.getZoom() + 2 }); return; }
    if (feature) { popup.setLngLat(feature.geometry.coordinates.slice()).setDOMContent(words(feature.properties, true)).addTo(map); held = true; return; }
    const groups = map.getLayer('gauges-group') ? map.queryRenderedFeatures(event.point, { layers: ['gauges-group'] }) : [];
    if (groups.length) { const zoom = await map.getSource(groups[0].source).getClusterExpansionZoom(groups[0].properties.cluster_id); map.easeTo({ center: groups[0].geometry.coordinates, zoom: Math.max(zoom, map.getZoom() + 1) }); return; }
    area(el, map, config, event.lngLat);
  });
  map.getCanvas().addEventListener('keydown', (event) => { if (event.key === 'Enter') area(el, map, config, map.getCenter()); });

  const tiled = config.layers.filter((layer) => layer.tiles);
  let moved = null;
  if (tiled.length) map.on('moveend', () => { clearTimeout(moved); moved = setTimeout(() => tiled.forEach((layer) => load(layer).catch(() => legend?.fresh(layer.id, null, 0))), 120); });

  const pending = new Map();
  document.addEventListener('anlan:fact', (event) => config.layers.forEach((layer) => {
    if (!NEWS[layer.id]?.test(event.detail.kind) || pending.has(layer.id)) return;
    pending.set(layer.id, setTimeout(() => { pending.delete(layer.id); load(layer).catch(() => {}); }, 400));
  }));
  const drawn = () => { el.dataset.drawn = '1'; };
  map.on('idle', drawn); if (map.loaded()) drawn();
  el.map = map;
}

function names(map, data) {
  const features = data.features.filter((f) => f.properties.lon != null).map((f) => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [f.properties.lon, f.properties.lat] }, properties: f.properties }));
  map.addSource('region-names', { type: 'geojson', data: { type: 'FeatureCollection', features } });
  map.addLayer({
    id: 'region-names', type: 'symbol', source: 'region-names',
    filter: ['any', ['all', ['==', ['get', 'kind'], 'county'], ['<', ['zoom'], 10.5]], ['all', ['==', ['get', 'kind'], 'town'], ['>=', ['zoom'], 9.7]]],
    layout: { 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': ['match', ['get', 'kind'], 'county', 14, 12], 'text-padding': 4 },
    paint: { 'text-color': token('map-ink'), 'text-halo-color': token('map-halo'), 'text-halo-width': 1.6 },
  });
}

function show(map, layer, on) {
  styleOf(layer).forEach((part) => map.getLayer(part.id) && map.setLayoutProperty(part.id, 'visibility', on ? 'visible' : 'none'));
  if (layer.id === 'regions' && map.getLayer('region-names')) map.setLayoutProperty('region-names', 'visibility', on ? 'visible' : 'none');
}

function startLegend(el, config, map) {
  const box = document.createElement('div'); box.className = 'map-legend';
  const details = document.createElement('details'); details.open = el.dataset.small === undefined && window.innerWidth > 760;
  const summary = document.createElement('summary'); summary.textContent = say('layers'); details.append(summary);
  const notes = new Map();
  config.layers.forEach((layer) => {
    const label = document.createElement('label');
    const input = Object.assign(document.createElement('input'), { type: 'checkbox', checked: layer.on !== false });
    input.addEventListener('change', () => show(map, layer, input.checked));
    const key = document.createElement('span'); key.className = `key key-${layer.marks ? 'mark' : layer.kind}`;
    if (layer.marks && layer.mark) key.append(keyOf(layer.mark));
    const text = document.createElement('span'); text.textContent = layer.label;
    const note = document.createElement('small'); notes.set(layer.id, note);
    label.append(input, key, text, note); details.append(label);
  });
  const levels = document.createElement('div'); levels.className = 'levels';
  if (config.layers.some((layer) => layer.tiles)) ['fresh', 'mixed', 'stale'].forEach((state) => {
    const key = document.createElement('span'); key.className = `fresh-key fresh-${state}`; key.textContent = say(`fresh.${state}`); levels.append(key);
  });
  else if (!config.plain) LEVELS.forEach((level) => levels.append(levelBadge(level)));
  details.append(levels);
  box.append(details); el.append(box);
  const times = new Map();
  const write = () => times.forEach(([iso, count], id) => { const note = notes.get(id); if (note) note.textContent = iso ? `${count} · ${age(now() - Date.parse(iso))}` : say('failed'); });
  setInterval(write, 30000);
  return { fresh(id, iso, count) { times.set(id, [iso, count]); write(); } };
}

/** The side sheet of a selected area; without one on this page, the big map opens there. */
async function area(el, map, config, lngLat) {
  const sheet = el.dataset.sheetTarget && document.getElementById(el.dataset.sheetTarget);
  if (!sheet || !config.area) return;
  const answer = await fetch(`${config.area}?lon=${lngLat.lng.toFixed(6)}&lat=${lngLat.lat.toFixed(6)}`, { credentials: 'same-origin' });
  if (!answer.ok) return;
  sheet.innerHTML = await answer.text();
  sheet.hidden = false; el.parentElement.classList.add('sheet-open'); map.resize();
  sheet.querySelector('[data-sheet-close]')?.addEventListener('click', () => { sheet.hidden = true; el.parentElement.classList.remove('sheet-open'); map.resize(); map.getCanvas().focus(); });
}
