// Curves: thresholds as labelled lines in level colours, gaps as gaps, doubtful values hollow, forecast dashed, a line for now,
// one time axis for charts above each other, export as picture and CSV.
import { BarChart, LineChart, ScatterChart } from 'echarts/charts';
import { AxisPointerComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { say, token } from './text.js';

use([BarChart, LineChart, ScatterChart, AxisPointerComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, TooltipComponent, CanvasRenderer]);

const ms = (t) => (typeof t === 'number' ? t : Date.parse(t));
const zone = () => document.querySelector('[data-clock]')?.dataset.zone || 'Asia/Shanghai';
const stamp = (t, seconds = false) => `${day(t)} ${new Intl.DateTimeFormat('en-GB', { timeZone: zone(), hourCycle: 'h23', hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}) }).format(t)}`;
const hour = (t) => new Intl.DateTimeFormat('en-GB', { timeZone: zone(), hourCycle: 'h23', hour: '2-digit', minute: '2-digit' }).format(t);
const day = (t) => new Intl.DateTimeFormat('en-CA', { timeZone: zone(), month: '2-digit', day: '2-digit' }).format(t);

/** Puts a null where the pause between two points is longer than the gap: a line never bridges what nobody measured. */
export function withGaps(points, gapS) {
  const out = [];
  let last = null;
  for (const [t, value, flag] of points) {
    const at = ms(t);
    if (gapS && last !== null && at - last > gapS * 1000) out.push([last + 1, null, '']);
    out.push([at, value, flag || '']);
    last = at;
  }
  return out;
}

const COLOURS = () => [token('accent'), token('ink-2'), token('violet'), token('line-strong')];

function options(data) {
  const panels = data.panels ?? [{ unit: data.unit, name: data.name ?? data.title, kind: data.kind, invert: data.invert, series: data.series ?? [], thresholds: data.thresholds }];
  const ink = token('ink'), soft = token('ink-3'), line = token('line'), colours = COLOURS();
  const grids = [], xs = [], ys = [], series = [];
  const share = (100 - 16) / panels.length;
  const times = panels.flatMap((p) => p.series.flatMap((s) => s.points.map(([t]) => ms(t))));
  const from = data.from ? ms(data.from) : Math.min(...times), to = data.to ? ms(data.to) : Math.max(...times, data.now ? ms(data.now) : -Infinity);
  panels.forEach((panel, i) => {
    grids.push({ left: 56, right: 84, top: `${9 + i * share}%`, height: `${share - 9}%` });
    xs.push({ type: 'time', gridIndex: i, min: from, max: to, axisLine: { lineStyle: { color: line } }, axisTick: { lineStyle: { color: line } }, splitLine: { show: true, lineStyle: { color: line, opacity: 0.5 } }, axisLabel: { show: i === panels.length - 1, color: soft, hideOverlap: true, formatter: (t) => (to - from > 40 * 86_400_000 || hour(t) === '00:00' ? day(t) : to - from > 25 * 3_600_000 ? `${hour(t)}\n${day(t)}` : hour(t)) }, axisPointer: { label: { formatter: ({ value }) => stamp(value) } } });
    const high = Math.max(...panel.series.flatMap((s) => s.points.map((p) => p[1] ?? -Infinity)), -Infinity);
    // A threshold just above what was measured belongs in the picture; one far away would flatten the curve.
    const near = (panel.thresholds ?? []).map((t) => t.value).filter((v) => v <= high * 1.6 || !Number.isFinite(high));
    ys.push({ type: 'value', gridIndex: i, inverse: Boolean(panel.invert), scale: (panel.kind ?? 'line') === 'line', name: [panel.name, panel.unit && `(${panel.unit})`].filter(Boolean).join(' '), nameTextStyle: { color: soft, align: 'left', padding: [0, 0, 0, -40] }, nameLocation: panel.invert ? 'start' : 'end', axisLabel: { color: soft }, splitLine: { lineStyle: { color: line, opacity: 0.5 } }, ...(near.length ? { max: (v) => Math.max(v.max, ...near) } : {}) });
    panel.series.forEach((s, j) => {
      const kind = s.kind ?? panel.kind ?? 'line', colour = colours[j % colours.length], points = withGaps(s.points, kind === 'line' ? data.gap_s : 0);
      series.push({
        type: kind, name: s.name, xAxisIndex: i, yAxisIndex: i, data: points.map(([t, v, f]) => [t, v, f]), showSymbol: points.length < 60, symbol: 'circle', symbolSize: 5, connectNulls: false, animation: false, sampling: points.length > 4000 ? 'lttb' : undefined, barMaxWidth: 22,
        lineStyle: { color: colour, width: 2, type: s.dashed ? [6, 4] : 'solid' }, itemStyle: { color: colour },
        ...(j === 0 ? { markLine: { silent: true, symbol: 'none', animation: false, data: [
          ...(panel.thresholds ?? []).map((t) => ({ yAxis: t.value, lineStyle: { color: t.level ? token(t.level) : ink, width: 1.6, type: 'dashed' }, label: { formatter: `${t.label ?? ''} ${t.value}`.trim(), color: ink, position: 'end', fontSize: 11, width: 80, overflow: 'break' } })),
          ...(data.now ? [{ xAxis: ms(data.now), lineStyle: { color: ink, width: 1, type: 'solid' }, label: { formatter: i === 0 ? say('now') : '', color: ink, position: 'end', fontSize: 11 } }] : []),
        ] } } : {}),
      });
      const doubtful = points.filter(([, v, f]) => f && v !== null);
      if (doubtful.length) series.push({ type: 'scatter', name: `${s.name} · ${say('flagged')}`, xAxisIndex: i, yAxisIndex: i, data: doubtful, symbolSize: 9, animation: false, itemStyle: { color: token('surface'), borderColor: colour, borderWidth: 2 } });
    });
  });
  return {
    textStyle: { fontFamily: token('font'), color: ink }, grid: grids, xAxis: xs, yAxis: ys, series, animation: false, backgroundColor: token('surface'),
    // Beside the axis' name, whatever the width.
    legend: series.length > panels.length ? { type: 'scroll', top: 0, left: '40%', right: 8, textStyle: { color: soft }, itemHeight: 8 } : undefined,
    axisPointer: { link: [{ xAxisIndex: 'all' }], lineStyle: { color: soft } },
    // Rich text, not HTML: the content security policy allows no inline style, and names are data.
    tooltip: { trigger: 'axis', renderMode: 'richText', backgroundColor: token('raised'), borderColor: line, textStyle: { color: ink, fontSize: 12 }, formatter: (items) => [stamp(items[0].value[0]), ...items.map((item) => `${item.seriesName}: ${item.value[1] ?? say('unknown')} ${panels[item.axisIndex]?.unit ?? ''}${item.value[2] ? ` (${item.value[2]})` : ''}`)].join('\n') },
    dataZoom: [{ type: 'inside', xAxisIndex: panels.map((_, i) => i), zoomOnMouseWheel: 'ctrl' }],
  };
}

function csv(data) {
  const rows = [['time', 'series', 'value', 'unit', 'flag']];
  (data.panels ?? [data]).forEach((panel) => (panel.series ?? []).forEach((s) => s.points.forEach(([t, v, f]) => rows.push([new Date(ms(t)).toISOString(), s.name, v ?? '', panel.unit ?? '', f ?? '']))));
  // A cell that begins like a formula is made text: the file opens in a spreadsheet.
  return rows.map((row) => row.map((cell) => { const text = String(cell); const safe = /^[=+@\t\r]|^-(?!\d)/.test(text) ? `'${text}` : text; return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe; }).join(',')).join('\r\n');
}

function save(name, url) { const a = Object.assign(document.createElement('a'), { href: url, download: name }); document.body.append(a); a.click(); a.remove(); }

export async function drawChart(el) {
  el.dataset.ready = '1';
  const word = document.createElement('p'); word.className = 'waiting-word'; word.textContent = say('loading'); el.append(word);
  let data, chart = null;
  const load = async () => {
    try { const answer = await fetch(el.dataset.chart, { credentials: 'same-origin' }); if (!answer.ok) throw new Error(answer.status); data = await answer.json(); } catch { word.textContent = say('failed'); return; }
    const any = (data.panels ?? [data]).some((p) => (p.series ?? []).some((s) => s.points.some((point) => point[1] !== null)));
    word.hidden = any; if (!any) { word.textContent = say('none.data'); return; }
    if (!chart) {
      const holder = document.createElement('div'); holder.className = 'chart-holder'; el.append(holder);
      chart = init(holder, null, { renderer: 'canvas' });
      new ResizeObserver(() => chart.resize()).observe(el);
      el.setAttribute('role', 'img'); el.setAttribute('aria-label', data.title ?? '');
      tools();
    }
    chart.setOption(options(data), true); el.dataset.drawn = '1'; el.chart = chart;
  };
  const tools = () => {
    if (el.dataset.bare !== undefined) return;
    const bar = document.createElement('div'); bar.className = 'chart-tools';
    const button = (key, act) => { const b = Object.assign(document.createElement('button'), { type: 'button', className: 'btn btn-quiet btn-small', textContent: say(key) }); b.addEventListener('click', act); bar.append(b); };
    const name = (data.title || 'anlan').replace(/[^\p{L}\p{N}]+/gu, '-');
    button('save.png', () => save(`${name}.png`, chart.getDataURL({ pixelRatio: 2, backgroundColor: token('surface') })));
    button('save.csv', () => (el.dataset.csv ? save('', el.dataset.csv) : save(`${name}.csv`, URL.createObjectURL(new Blob(['\ufeff', csv(data)], { type: 'text/csv' })))));
    el.after(bar);
  };
  await load();
  // A station's curve follows its readings: no fact per reading exists, so it looks again by itself.
  if (el.dataset.every) setInterval(load, Math.max(5, Number(el.dataset.every)) * 1000);
  el.addEventListener('live', load);
}
