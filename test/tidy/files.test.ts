/** No file strays, grows without bounds, leaks the machine it was written on, or leaves a door unexplained. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { files, ROOT, sources } from './sources.ts';

const ROOMS =
  'aggregate app base capacity cli client design dsl expr model offline online plan registry serving stream timeline types';
const TESTS = 'conformance docs e2e golden oracle regressions support tidy';
const TOP = 'bench bin deploy docs examples proto python scripts src test .ci';
const MAX_LINES = 600;

const textFiles = files.filter((file) => /\.(ts|md|json|html|py|sh)$|Makefile$|\/run$/.test(file));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

test('every file lies in a known place', () => {
  const wrong = files.filter((file) => {
    const [top, room] = file.split('/') as [string, string | undefined];
    if (room === undefined) return false;
    if (top === 'src') return !ROOMS.split(' ').includes(room) || !file.endsWith('.ts');
    if (top === 'test') return !`${ROOMS} ${TESTS}`.split(' ').includes(room);
    return !TOP.split(' ').includes(top);
  });
  assert.deepEqual(wrong, []);
});

test(`no source or test is longer than ${MAX_LINES} lines`, () => {
  const wrong = files
    .filter((file) => /^(src|test|bench|examples)\/.*\.ts$/.test(file) && !file.includes('/gen/'))
    .map((file) => `${file}: ${read(file).split('\n').length}`)
    .filter((line) => Number(line.split(': ')[1]) > MAX_LINES);
  assert.deepEqual(wrong, []);
});

test('nothing tells of the machine it was made on, and nothing is left to do', () => {
  // In pieces, so that this file does not find itself.
  const forbidden = [
    ['TO', 'DO'],
    ['FIX', 'ME'],
    ['/wo', 'rk/'],
    ['/ho', 'me/'],
    ['/ro', 'ot/'],
    ['/bash_', 'jobs'],
  ].map((parts) => parts.join(''));
  const wrong = textFiles.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, i) => {
        const hosts = [...line.matchAll(/https?:\/\/([^/\s'"`<>)$]+)/g)].map((m) => m[1]!);
        const found = [
          ...forbidden.filter((text) => line.includes(text)),
          ...hosts.filter((host) => /^\d+\.\d+\.\d+\.\d+/.test(host) && !/^(127|0)\./.test(host)),
          ...hosts.filter((host) =>
            /(\.(internal|local|lan|corp)|registry[^/]*)(:\d+)?$/.test(host),
          ),
        ];
        return found.map((text) => `${file}:${i + 1}: ${text}`);
      }),
  );
  assert.deepEqual(wrong, []);
});

test('what a door or a contract exports is explained', () => {
  const wrong = sources
    .filter(({ path }) => /(^|\/)(index|contract)\.ts$/.test(path))
    .flatMap(({ path, text }) => {
      const lines = text.split('\n');
      return lines.flatMap((line, i) => {
        const name = /^export (?:async )?(?:function\*?|class|interface|const|type) (\w+)/.exec(
          line,
        )?.[1];
        const explained = name === undefined || lines[i - 1]!.trimEnd().endsWith('*/');
        return explained ? [] : [`src/${path}:${i + 1}: ${name}`];
      });
    });
  assert.deepEqual(wrong, []);
});

test('what is exported is used', () => {
  const code = files.filter((file) => /^(src|test|bench|examples)\/.*\.ts$/.test(file)).map(read);
  const times = new Map<string, number>();
  for (const text of code)
    for (const [word] of text.matchAll(/\w+/g)) times.set(word, (times.get(word) ?? 0) + 1);
  const wrong = sources
    // The catalogue of functions takes whole files: every export of theirs is a function of the language. Generated files say all.
    .filter(({ path }) => !path.startsWith('expr/functions/') && !path.includes('/gen/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/^export (?:async )?(?:abstract )?(?:function\*?|class|const) (\w+)/gm)]
        .map((match) => match[1]!)
        .filter((name) => times.get(name) === 1)
        .map((name) => `src/${path}: ${name}`),
    );
  assert.deepEqual(wrong, []);
});
