#!/usr/bin/env node
// Starts the command line: from the sources in a checkout, from dist/ in a published package.
import { existsSync } from 'node:fs';
import * as module from 'node:module';

if (Number(process.versions.node.split('.')[0]) < 26) {
  console.error(
    `error cli/old-node: Samewise needs Node 26 or later; this is ${process.version}\n` +
      '  hint:  npm install node@26 puts a current one into node_modules/.bin, which npx uses',
  );
  process.exit(1);
}
// Parsing and stripping types anew would be a third of the time that a short command takes.
module.enableCompileCache();
const source = new URL('../src/cli/main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href);
