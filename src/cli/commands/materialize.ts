import type { Command } from 'commander';
/** stub */
export function materialize(_p: Command): void {}
