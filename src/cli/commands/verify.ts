import type { Command } from 'commander';
/** stub */
export function verify(_p: Command): void {}
