import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { SamewiseError } from '../../base/errors.ts';
import { command, surroundings } from '../command.ts';
import { readText } from '../text_file.ts';

/** `samewise design`: the technical design that follows from requirements, with a project to begin with. */
export function design(program: Command): void {
  program.addCommand(
    command(
      'design',
      'write a technical design, a starter project and manifests from requirements; the same ones give the same bytes',
      ['design requirements.yaml', 'design requirements.yaml --out my-design'],
    )
      .argument('<requirements>', 'a YAML file: see examples/design/')
      .option('--out <folder>', 'write all files there (default: print the document)')
      .action(async (file: string, { out: folder }: { out?: string }, self: Command) => {
        const { out } = surroundings(self);
        const { designFiles, writeFiles } = await import('../../app/design.ts');
        const files = await designFiles(readText(file), file);
        if (folder === undefined) {
          out.result(files, () => files['design.md']!.trimEnd());
          return;
        }
        for (const path of Object.keys(files))
          if (existsSync(join(folder, path)))
            throw new SamewiseError('cli/already-there', `${path} is already in ${folder}`, {
              where: { file: join(folder, path) },
              hint: 'choose an empty folder',
            });
        writeFiles(folder, files);
        out.result({ folder, files: Object.keys(files) }, () =>
          [
            `${folder}: ${Object.keys(files).join(', ')}`,
            '',
            'Next:',
            `  npx samewise --project ${folder}/project plan`,
          ].join('\n'),
        );
      }),
  );
}
