// A small map in a form is heavy: it comes when somebody looks at it, not with the form.
export function mapWhenSeen(holder, config, begin) {
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    const { drawMap, Marker } = await import('./map.js');
    holder.dataset.map = config; holder.dataset.small = '';
    await drawMap(holder);
    if (holder.map) begin(holder.map, Marker);
  });
  seen.observe(holder);
}
