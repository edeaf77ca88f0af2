/** What definitions cost under a load, predicted: the door of capacity. */
export type { ColumnLoad, EntityLoad, Load, ServiceLoad, SourceLoad } from './load.ts';
export {
  type Capacity,
  predict,
  type StoreCapacity,
  type StoreKind,
  type ViewCapacity,
} from './predict.ts';
export { printFigure, printLine } from './print.ts';
export { readLoad } from './read_load.ts';
export type { Line } from './sheet.ts';
export { type YamlFile, yamlReader } from './yaml_file.ts';
