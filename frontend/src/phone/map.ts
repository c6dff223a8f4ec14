/** A simple map of my regions: boundaries, rivers, what stands where, and me. Drawn on a canvas from the copy; no tiles, no network. */
import { h, icon, say } from './ui';

export interface Spot { lon: number; lat: number; label: string; kind: string; open: () => void }
interface Feature { geometry: { type: string; coordinates: any } | null; properties: { kind: string; name: string; lon: number | null; lat: number | null } }
export interface Ground { bbox: [number, number, number, number] | null; features: Feature[] }
const NEAR_PX = 26, CLUSTER_PX = 34;

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const rings = (geometry: Feature['geometry']): [number, number][][] => {
  switch (geometry?.type) {
    case 'Polygon': case 'MultiLineString': return geometry.coordinates;
    case 'MultiPolygon': return geometry.coordinates.flat();
    case 'LineString': return [geometry.coordinates];
    default: return [];
  }
};

export function drawMap(ground: Ground, spots: Spot[], mine: { lon: number; lat: number } | null, choose: (spots: Spot[]) => void): { el: HTMLElement; setSpots: (spots: Spot[]) => void; setMine: (at: { lon: number; lat: number }) => void } {
  const canvas = h<HTMLCanvasElement>('canvas', { tabindex: '0', role: 'img', 'aria-label': say('Map. Arrow keys move, plus and minus zoom.') });
  const box = ground.bbox ?? (spots.length ? [Math.min(...spots.map((s) => s.lon)) - 0.05, Math.min(...spots.map((s) => s.lat)) - 0.05, Math.max(...spots.map((s) => s.lon)) + 0.05, Math.max(...spots.map((s) => s.lat)) + 0.05] : [73, 18, 135, 54]);
  const squeeze = Math.cos(((box[1] + box[3]) / 2) * Math.PI / 180); // degrees of longitude are shorter than of latitude
  let centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], scale = 0, width = 0, height = 0, queued = false;
  const x = (lon: number) => width / 2 + (lon - centre[0]) * squeeze * scale, y = (lat: number) => height / 2 - (lat - centre[1]) * scale;
  const fit = () => { scale = 0.92 * Math.min(width / ((box[2] - box[0]) * squeeze || 1), height / (box[3] - box[1] || 1)); centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]; draw(); };
  const zoom = (by: number, px = width / 2, py = height / 2) => {
    const lon = centre[0] + (px - width / 2) / scale / squeeze, lat = centre[1] - (py - height / 2) / scale;
    scale = Math.max(8, Math.min(400_000, scale * by));
    centre = [lon - (px - width / 2) / scale / squeeze, lat + (py - height / 2) / scale];
    draw();
  };
  const draw = () => { if (!queued) { queued = true; requestAnimationFrame(paint); } };

  function paint() {
    queued = false;
    const ink = canvas.getContext('2d')!, ratio = devicePixelRatio || 1;
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.fillStyle = token('map-sea'); ink.fillRect(0, 0, width, height);
    ink.lineJoin = 'round';
    for (const feature of ground.features) {
      const river = feature.properties.kind === 'river';
      ink.beginPath();
      for (const ring of rings(feature.geometry)) ring.forEach(([lon, lat], i) => (i ? ink.lineTo(x(lon), y(lat)) : ink.moveTo(x(lon), y(lat))));
      if (!river) { ink.fillStyle = token('map-land'); ink.fill(); }
      ink.strokeStyle = token(river ? 'map-water' : 'map-line'); ink.lineWidth = river ? 2.5 : ['county', 'city', 'province'].includes(feature.properties.kind) ? 1.6 : 0.8;
      ink.stroke();
    }
    ink.font = `14px ${token('font')}`; ink.textAlign = 'center'; ink.textBaseline = 'middle'; ink.lineWidth = 3; ink.strokeStyle = token('map-halo'); ink.fillStyle = token('map-ink');
    const placed: [number, number][] = [];
    for (const { properties: { name, lon, lat } } of ground.features) {
      if (lon === null || lat === null) continue;
      const px = x(lon), py = y(lat);
      if (px < 0 || py < 0 || px > width || py > height || placed.some(([a, b]) => Math.abs(a - px) < 70 && Math.abs(b - py) < 22)) continue;
      placed.push([px, py]); ink.strokeText(name, px, py); ink.fillText(name, px, py);
    }
    for (const group of groups()) {
      const many = group.spots.length > 1;
      ink.beginPath(); ink.arc(group.x, group.y, many ? 15 : 8, 0, 7);
      ink.fillStyle = token('accent'); ink.fill(); ink.lineWidth = 2; ink.strokeStyle = token('map-halo'); ink.stroke();
      if (many) { ink.fillStyle = token('on-accent'); ink.font = `600 13px ${token('font')}`; ink.fillText(String(group.spots.length), group.x, group.y + 1); }
    }
    if (mine) {
      ink.beginPath(); ink.arc(x(mine.lon), y(mine.lat), 9, 0, 7); ink.lineWidth = 4; ink.strokeStyle = token('ink'); ink.stroke();
      ink.beginPath(); ink.arc(x(mine.lon), y(mine.lat), 3, 0, 7); ink.fillStyle = token('ink'); ink.fill();
    }
  }
  function groups() {
    const found: { x: number; y: number; spots: Spot[] }[] = [], cells = new Map<string, { x: number; y: number; spots: Spot[] }>();
    for (const spot of spots) {
      const px = x(spot.lon), py = y(spot.lat);
      if (px < -20 || py < -20 || px > width + 20 || py > height + 20) continue;
      const key = `${Math.floor(px / CLUSTER_PX)} ${Math.floor(py / CLUSTER_PX)}`, cell = cells.get(key);
      if (cell) cell.spots.push(spot); else { const made = { x: px, y: py, spots: [spot] }; cells.set(key, made); found.push(made); }
    }
    return found;
  }

  const fingers = new Map<number, { x: number; y: number }>();
  let moved = 0, gap = 0;
  const at = (event: PointerEvent) => { const frame = canvas.getBoundingClientRect(); return { x: event.clientX - frame.left, y: event.clientY - frame.top }; };
  canvas.addEventListener('pointerdown', (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event)); moved = 0; gap = 0; });
  canvas.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    if (fingers.size === 1) { centre = [centre[0] - (now.x - before.x) / scale / squeeze, centre[1] + (now.y - before.y) / scale]; moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y); draw(); }
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], wide = Math.hypot(a.x - b.x, a.y - b.y);
      if (gap) zoom(wide / gap, (a.x + b.x) / 2, (a.y + b.y) / 2);
      gap = wide; moved += 99;
    }
  });
  const lift = (event: PointerEvent) => {
    const point = fingers.get(event.pointerId);
    fingers.delete(event.pointerId); gap = 0;
    if (!point || moved > 8 || event.type !== 'pointerup') return;
    const hit = groups().map((group) => ({ group, far: Math.hypot(group.x - point.x, group.y - point.y) })).filter((one) => one.far < NEAR_PX).sort((a, b) => a.far - b.far)[0];
    if (hit) choose(hit.group.spots);
  };
  canvas.addEventListener('pointerup', lift); canvas.addEventListener('pointercancel', lift);
  canvas.addEventListener('wheel', (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY); }, { passive: false });
  canvas.addEventListener('keydown', (event) => {
    const step = 60 / scale, move: Record<string, [number, number]> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key in move) { centre = [centre[0] + move[event.key][0] / squeeze, centre[1] + move[event.key][1]]; draw(); event.preventDefault(); }
    if (event.key === '+' || event.key === '=') zoom(1.4);
    if (event.key === '-') zoom(1 / 1.4);
  });
  new ResizeObserver(() => {
    const before = width;
    width = canvas.clientWidth; height = canvas.clientHeight;
    canvas.width = width * (devicePixelRatio || 1); canvas.height = height * (devicePixelRatio || 1);
    if (before) draw(); else fit();
  }).observe(canvas);
  const button = (name: 'plus' | 'minus' | 'map', label: string, does: () => void) => h('button.btn', { type: 'button', 'aria-label': label, title: label, onclick: does }, icon(name));
  return {
    el: h('div.ground', canvas, h('div.ground-buttons', button('plus', say('Closer'), () => zoom(1.6)), button('minus', say('Farther'), () => zoom(1 / 1.6)), button('map', say('Whole area'), fit))),
    setSpots: (given) => { spots = given; draw(); },
    setMine: (given) => { mine = given; centre = [given.lon, given.lat]; scale = Math.max(scale, 3000); draw(); },
  };
}
