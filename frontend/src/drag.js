// A line of a plan is dragged onto another group: its own page opens with that change tried, and says what it means. The pointer is a help, never the only way.
export function startDrag() {
  let dragged = null;
  document.addEventListener('dragstart', (event) => {
    dragged = event.target.closest?.('[data-drag]');
    if (dragged) { event.dataTransfer.setData('text/plain', dragged.dataset.drag); event.dataTransfer.effectAllowed = 'move'; }
  });
  // A group is its head and the rows up to the next head: dropping anywhere in it means the same.
  const over = (event) => {
    let row = dragged ? event.target.closest?.('tr') : null;
    while (row && !row.dataset.drop) row = row.previousElementSibling;
    return row;
  };
  document.addEventListener('dragover', (event) => { const target = over(event); if (target) { event.preventDefault(); document.querySelectorAll('.drop-here').forEach((el) => { if (el !== target) el.classList.remove('drop-here'); }); target.classList.add('drop-here'); } });
  document.addEventListener('drop', (event) => {
    const target = over(event);
    if (!target) return;
    event.preventDefault();
    location.href = `${dragged.dataset.drag}&to=${encodeURIComponent(target.dataset.drop)}`;
  });
  document.addEventListener('dragend', () => { dragged = null; document.querySelectorAll('.drop-here').forEach((el) => el.classList.remove('drop-here')); });
}
