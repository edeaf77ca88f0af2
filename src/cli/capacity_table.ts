/** A predicted capacity as people read it. */
import { type Capacity, printFigure, printLine } from '../capacity/index.ts';
import { table } from './output.ts';

/** Tables of views and stores, or with `formulas` every number of the sheet. */
export function printCapacity(capacity: Capacity, formulas: boolean): string {
  if (formulas) return table(['what', 'number', 'formula', 'why'], capacity.lines.map(printLine));
  const { views, stores } = capacity;
  return [
    table(
      ['view', 'keys', 'events', 'heads', 'blocks', 'pages', 'a day', 'events', 'writes', 'reads'],
      views.map((v) => [
        v.view,
        printFigure(v.keys, ''),
        printFigure(v.events, ''),
        printFigure(v.headBytes, 'bytes'),
        printFigure(v.blockBytes, 'bytes'),
        printFigure(v.keys + v.blocks, ''),
        printFigure(v.bytesADay, 'bytes'),
        printFigure(v.eventsPerSecond, '/s'),
        printFigure(v.pageWrites, '/s'),
        printFigure(v.pageReads, '/s'),
      ]),
    ),
    '',
    table(
      ['store', 'bytes', 'reads', 'writes', 'shards', 'because of', 'fits', 'what it costs'],
      stores.map((s) => [
        s.store,
        printFigure(s.bytes, 'bytes'),
        printFigure(s.readsPerSecond, '/s'),
        printFigure(s.writesPerSecond, '/s'),
        printFigure(s.shards, ''),
        s.shardsBecause,
        s.fits ? 'yes' : `no: ${s.why}`,
        s.drivers.map((d) => `${d.name} ${printFigure(d.amount, d.unit)}`).join(', '),
      ]),
    ),
    '',
    `${printFigure(capacity.servingCores, 'cores')} serve ${printFigure(capacity.requestsPerSecond, '/s')}, ${printFigure(capacity.streamCores, 'cores')} apply events. --formulas says why.`,
  ].join('\n');
}
