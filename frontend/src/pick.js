// A point of a form: typed, pressed on a small map, or taken from where the phone is.
// <div data-pick data-pick-map="…config…"> around inputs [data-lon] and [data-lat].
import { mapWhenSeen } from './lazy.js';
import { say } from './text.js';

export async function pickPoint(el) {
  const lon = el.querySelector('[data-lon]'), lat = el.querySelector('[data-lat]'), note = el.querySelector('[data-pick-note]');
  const tell = (text) => { if (note) note.textContent = text; };
  const set = (x, y) => {
    lon.value = x.toFixed(6); lat.value = y.toFixed(6);
    [lon, lat].forEach((input) => input.dispatchEvent(new Event('input', { bubbles: true })));
  };
  let marker = null, map = null, Marker = null;
  const place = (fly) => {
    const x = Number(lon.value), y = Number(lat.value);
    if (!map || !lon.value || !lat.value || !(Math.abs(x) <= 180) || !(Math.abs(y) <= 90)) { if (marker) { marker.remove(); marker = null; } return; }
    if (!marker) {
      marker = new Marker({ draggable: true, color: getComputedStyle(document.documentElement).getPropertyValue('--accent').trim() }).setLngLat([x, y]).addTo(map);
      marker.on('dragend', () => { const at = marker.getLngLat(); set(at.lng, at.lat); });
    } else marker.setLngLat([x, y]);
    if (fly) map.easeTo({ center: [x, y], zoom: Math.max(map.getZoom(), 13) });
  };
  [lon, lat].forEach((input) => input.addEventListener('change', () => place(true)));
  el.querySelector('[data-pick-here]')?.addEventListener('click', () => {
    if (!navigator.geolocation) { tell(say('pick.none')); return; }
    tell(say('pick.asking'));
    navigator.geolocation.getCurrentPosition(
      (at) => { set(at.coords.longitude, at.coords.latitude); place(true); tell(say('pick.exact', { m: Math.round(at.coords.accuracy) })); },
      (error) => tell(say(error.code === 1 ? 'pick.denied' : 'pick.none')),
      { enableHighAccuracy: true, timeout: 20000, maximumAge: 30000 },
    );
  });
  el.querySelector('[data-pick-clear]')?.addEventListener('click', () => { lon.value = lat.value = ''; place(false); lon.dispatchEvent(new Event('input', { bubbles: true })); });
  const holder = el.querySelector('[data-pick-map]');
  if (!holder) return;
  mapWhenSeen(holder, holder.dataset.pickMap, (drawn, Pin) => {
    map = drawn; Marker = Pin;
    map.on('click', (event) => { set(event.lngLat.lng, event.lngLat.lat); place(false); });
    place(true);
  });
}
