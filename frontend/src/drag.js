// A line of a plan is dragged onto another group's head: its own page opens with that change tried, and says what it means. The pointer is a help, never the only way.
export function startDrag() {
  let dragged = null;
  document.addEventListener('dragstart', (event) => {
    dragged = event.target.closest?.('[data-drag]');
    if (dragged) { event.dataTransfer.setData('text/plain', dragged.dataset.drag); event.dataTransfer.effectAllowed = 'move'; }
  });
  const over = (event) => (dragged ? event.target.closest?.('[data-drop]') : null);
  document.addEventListener('dragover', (event) => { const target = over(event); if (target) { event.preventDefault(); target.classList.add('drop-here'); } });
  document.addEventListener('dragleave', (event) => over(event)?.classList.remove('drop-here'));
  document.addEventListener('drop', (event) => {
    const target = over(event);
    if (!target) return;
    event.preventDefault();
    location.href = `${dragged.dataset.drag}&to=${encodeURIComponent(target.dataset.drop)}`;
  });
  document.addEventListener('dragend', () => { dragged = null; document.querySelectorAll('.drop-here').forEach((el) => el.classList.remove('drop-here')); });
}
