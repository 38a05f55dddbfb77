import { type Figure, isIdle, type Result } from './result.ts';

/** A result as it is printed. */
export function tableOf(result: Result): string {
  return [
    `\n${result.title}`,
    ...(result.rows.length > 0 ? rowLines(result) : []),
    ...(result.figures.length > 0 ? figureLines(result.figures) : []),
    ...result.notes.map((note) => `  ${note}`),
    ...doubts(result).map((doubt) => `  ! ${doubt}`),
    '',
  ].join('\n');
}

function rowLines({ rows, counted = 'answers' }: Pick<Result, 'rows' | 'counted'>): string[] {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const speed = `${counted}/s`;
  const head = `  ${''.padEnd(width)}  ${speed}  CPU µs each  CPU used`;
  return [
    head,
    ...rows.map(
      ({ name, perSecond, cpuUs, busy }) =>
        `  ${name.padEnd(width)}  ${Math.round(perSecond).toString().padStart(speed.length)}  ${(cpuUs?.toFixed(1) ?? '').padStart(11)}  ${percent(busy).padStart(8)}`,
    ),
  ];
}

function figureLines(figures: readonly Figure[]): string[] {
  const width = Math.max(...figures.map(({ what }) => what.length));
  const head = `  ${''.padEnd(width)}  ${['median', 'min', 'max'].map((word) => word.padStart(8)).join('')}       target`;
  return [head, ...figures.map((figure) => figureLine(figure, width))];
}

function figureLine(figure: Figure, width: number): string {
  const { what, unit, median, min, max } = figure;
  const show = (value: number) => value.toFixed(unit === '' || (unit === 'ms' && value < 100) ? 2 : 0);
  const shown = [median, min, max].map((value) => show(value).padStart(8)).join('');
  return `  ${what.padEnd(width)}  ${shown}  ${unit.padEnd(3)}  ${verdict(figure)}`.trimEnd();
}

function verdict({ target, median, isDoubtful }: Figure): string {
  if (target === undefined) return '';
  const isMet = target.is === 'at least' ? median >= target.value : median <= target.value;
  return `${target.is} ${target.value}: ${isMet ? 'met' : 'missed'}${isDoubtful ? ', in doubt' : ''}`;
}

function percent(share: number | undefined): string {
  return share === undefined ? '' : `${Math.round(share * 100)} %`;
}

function doubts({ rows }: Result): string[] {
  const idle = rows.filter(isIdle).map(({ name }) => name);
  return idle.length === 0 ? [] : [`not at its limit: ${idle.join('; ')}`];
}
