/** Capacities as tables of text, and numbers with their formulas. */
import { formatBytes, formatCount } from '../base/numbers.ts';
import type { Line, Unit } from './sheet.ts';

/** A number as people read it, with its unit. */
export function printFigure(value: number, unit: Unit | string): string {
  switch (unit) {
    case 'bytes':
      return formatBytes(value);
    case 'bytes/s':
      return `${formatBytes(value)}/s`;
    default: {
      const text =
        value >= 100 || Number.isInteger(value) ? formatCount(value) : value.toPrecision(3);
      return unit === '' ? text : unit.startsWith('/') ? `${text}${unit}` : `${text} ${unit}`;
    }
  }
}

/** One line: the number, its formula or origin. */
export function printLine({ name, unit, value, formula, because }: Line): readonly string[] {
  return [name, printFigure(value, unit), formula ?? '', because];
}
