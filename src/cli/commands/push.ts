import type { Command } from 'commander';
/** stub */
export function push(_p: Command): void {}
