import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { SamewiseError } from '../../base/errors.ts';
import { command, surroundings } from '../command.ts';
import { scaffold } from '../scaffold.ts';
import { version } from '../version.ts';

/** `samewise init`: a new project that works. Existing files are never overwritten. */
export function init(program: Command): void {
  program.addCommand(
    command('init', 'make a new project, with sample data, that works at once', [
      'init my-features',
      'init .',
    ])
      .argument('<folder>', 'where the project goes')
      .action((folder: string, _options, self: Command) => {
        const { out } = surroundings(self);
        const root = resolve(folder);
        const name =
          basename(root)
            .toLowerCase()
            .replace(/[^a-z0-9._-]+/g, '-') || 'features';
        const files = scaffold(name, version());
        for (const path of Object.keys(files)) {
          if (existsSync(join(root, path))) {
            throw new SamewiseError('cli/already-there', `${path} is already in ${folder}`, {
              where: { file: join(folder, path) },
              hint: 'choose an empty folder',
            });
          }
        }
        for (const [path, text] of Object.entries(files)) {
          mkdirSync(dirname(join(root, path)), { recursive: true });
          writeFileSync(join(root, path), text);
        }
        out.result({ folder: root, files: Object.keys(files) }, () =>
          [
            `${folder}: ${Object.keys(files).join(', ')}`,
            '',
            'Next:',
            `  npx samewise --project ${folder} apply --yes`,
            `  npx samewise --project ${folder} materialize`,
            `  npx samewise --project ${folder} get fraud_v1 --key customer_id=1 --request amount=25 --at 2024-03-20T12:00:00Z`,
          ].join('\n'),
        );
      }),
  );
}
