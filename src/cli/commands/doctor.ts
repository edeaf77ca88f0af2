import type { Command } from 'commander';
/** stub */
export function doctor(_p: Command): void {}
