// An area drawn on a map: outline, circle, river reach, line. It only fills the fields of the form, where all of it can be typed as well;
// what the server makes of them (the outline as sent) comes back with the answer about who lies in it.
// <div data-draw="…map config…"> around the fields and a [data-draw-map]; the answer carries [data-outline].
import { mapWhenSeen } from './lazy.js';
import { token } from './text.js';

const KM = 111.32; // of a degree of latitude
const HANDLES = 80; // corners that can still be told apart and dragged

export function drawArea(el) {
  const form = el.closest('form'), field = (name) => el.querySelector(`[name="${name}"]`), shape = () => form.elements.shape.value;
  const cornered = () => ['polygon', 'line'].includes(shape());
  const pairs = (text) => text.split('\n').map((line) => (line.match(/-?\d+(\.\d+)?/g) ?? []).map(Number)).filter((pair) => pair.length === 2);
  const write = (name, value) => { field(name).value = value; };
  const told = () => { field('shape').dispatchEvent(new Event('input', { bubbles: true })); field('shape').dispatchEvent(new Event('change', { bubbles: true })); lay(); };
  const text = ({ lng, lat }) => `${lng.toFixed(5)} ${lat.toFixed(5)}`;
  const middle = () => { const [x, y, km] = ['circle_lon', 'circle_lat', 'circle_km'].map((name) => parseFloat(field(name).value)); return [x, y, km].every(Number.isFinite) ? { x, y, km } : null; };
  const rim = ({ x, y, km }, turn) => [x + (km / KM / Math.cos((y * Math.PI) / 180)) * Math.cos(turn), y + (km / KM) * Math.sin(turn)];
  let map = null, Marker = null, handles = [], fitted = false;

  const add = (at, point) => {
    if (cornered()) write('corners', [...field('corners').value.split('\n').filter((line) => line.trim()), text(at)].join('\n'));
    else if (shape() === 'circle') { write('circle_lon', at.lng.toFixed(5)); write('circle_lat', at.lat.toFixed(5)); if (!field('circle_km').value) write('circle_km', 2); }
    else if (shape() === 'river') {
      if (!field('river').value && map.getLayer('rivers')) {
        const near = point && map.queryRenderedFeatures([[point.x - 14, point.y - 14], [point.x + 14, point.y + 14]], { layers: ['rivers'] })[0];
        if (near) write('river', near.properties.id);
      }
      if (field('reach_from').value && field('reach_to').value) { write('reach_from', text(at)); write('reach_to', ''); }
      else write(field('reach_from').value ? 'reach_to' : 'reach_from', text(at));
    } else return;
    told();
  };
  const undo = () => {
    if (cornered()) write('corners', field('corners').value.split('\n').filter((line) => line.trim()).slice(0, -1).join('\n'));
    else if (shape() === 'circle') ['circle_lon', 'circle_lat'].forEach((name) => write(name, ''));
    else if (shape() === 'river') write(field('reach_to').value ? 'reach_to' : field('reach_from').value ? 'reach_from' : 'river', '');
    else if (shape() === 'footprint') write('footprint', '');
    told();
  };
  const clear = () => { ['corners', 'circle_lon', 'circle_lat', 'circle_km', 'river', 'reach_from', 'reach_to', 'footprint'].forEach((name) => write(name, '')); told(); };
  el.querySelector('[data-draw-undo]').addEventListener('click', undo);
  el.querySelector('[data-draw-clear]').addEventListener('click', clear);
  el.querySelector('[data-draw-file]')?.addEventListener('change', async (event) => { const [file] = event.target.files; if (file) { write('footprint', await file.text()); told(); } });

  const handle = (at, kind, moved, pressed) => {
    const dot = Object.assign(document.createElement('button'), { type: 'button', className: `corner corner-${kind}`, tabIndex: -1 });
    const one = new Marker({ element: dot, draggable: true }).setLngLat(at).addTo(map);
    one.on('dragend', () => { dot.dataset.moved = '1'; moved(one.getLngLat()); told(); });
    dot.addEventListener('click', (event) => { event.stopPropagation(); if (!dot.dataset.moved && pressed) { pressed(); told(); } });
    handles.push(one);
  };
  const geometry = () => {
    if (cornered()) { const found = pairs(field('corners').value); return found.length > 1 ? { type: 'LineString', coordinates: shape() === 'polygon' && found.length > 2 ? [...found, found[0]] : found } : null; }
    const centre = shape() === 'circle' && middle();
    return centre ? { type: 'LineString', coordinates: Array.from({ length: 73 }, (_, i) => rim(centre, (i * Math.PI) / 36)) } : null;
  };
  function lay() {
    if (!map) return;
    handles.forEach((one) => one.remove()); handles = [];
    const found = geometry();
    map.getSource('drawn').setData({ type: 'FeatureCollection', features: found ? [{ type: 'Feature', properties: {}, geometry: found }] : [] });
    if (cornered()) {
      const corners = pairs(field('corners').value), put = () => write('corners', corners.map(([x, y]) => `${x} ${y}`).join('\n'));
      if (corners.length <= HANDLES) corners.forEach((at, i) => handle(at, i === corners.length - 1 ? 'last' : 'any', (to) => { corners[i] = [Number(to.lng.toFixed(5)), Number(to.lat.toFixed(5))]; put(); }, () => { corners.splice(i, 1); put(); }));
    } else if (shape() === 'circle' && middle()) {
      const centre = middle();
      handle([centre.x, centre.y], 'last', (to) => { write('circle_lon', to.lng.toFixed(5)); write('circle_lat', to.lat.toFixed(5)); });
      handle(rim(centre, 0), 'any', (to) => write('circle_km', Math.max(0.05, Math.hypot((to.lng - centre.x) * KM * Math.cos((centre.y * Math.PI) / 180), (to.lat - centre.y) * KM)).toFixed(2)));
    } else if (shape() === 'river') ['reach_from', 'reach_to'].forEach((name) => {
      const [at] = pairs(field(name).value);
      if (at) handle(at, 'last', (to) => write(name, text(to)), () => write(name, ''));
    });
  }
  const outline = () => {
    const said = el.querySelector('[data-outline]')?.dataset.outline;
    if (!map) return;
    const found = said ? JSON.parse(said) : null;
    map.getSource('outline').setData(found ?? { type: 'FeatureCollection', features: [] });
    if (!found || fitted) return;
    fitted = true;
    const flat = found.geometry.coordinates.flat(Infinity), xs = flat.filter((_, i) => i % 2 === 0), ys = flat.filter((_, i) => i % 2);
    const box = [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]], view = map.getBounds();
    if (!view.contains(box[0]) || !view.contains(box[1])) map.fitBounds(box, { padding: 40, duration: 0 });
  };
  el.addEventListener('change', lay);
  document.addEventListener('htmx:afterSwap', (event) => { if (el.contains(event.target)) outline(); });

  const holder = el.querySelector('[data-draw-map]');
  mapWhenSeen(holder, el.dataset.draw, (ready, Pin) => {
    map = ready; Marker = Pin;
    map.doubleClickZoom.disable();
    for (const name of ['outline', 'drawn']) map.addSource(name, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } });
    map.addLayer({ id: 'outline', type: 'fill', source: 'outline', paint: { 'fill-color': token('accent'), 'fill-opacity': 0.18 } });
    map.addLayer({ id: 'outline-line', type: 'line', source: 'outline', paint: { 'line-color': token('accent'), 'line-width': 2 } });
    map.addLayer({ id: 'drawn', type: 'line', source: 'drawn', paint: { 'line-color': token('ink'), 'line-width': 1.5, 'line-dasharray': [2, 2] } });
    map.on('click', (event) => add(event.lngLat, event.point));
    // With the keyboard: arrows move the map under the cross in its middle, Enter puts a corner there, Backspace takes the last one back.
    map.getCanvas().addEventListener('keydown', (event) => {
      if (event.key === 'Enter') { event.preventDefault(); const at = map.getCenter(); add(at, map.project(at)); }
      if (event.key === 'Backspace') { event.preventDefault(); undo(); }
    });
    lay(); outline();
    holder.dataset.drawReady = '1';
  });
}
