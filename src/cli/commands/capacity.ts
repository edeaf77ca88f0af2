import type { Command } from 'commander';
import { command, surroundings } from '../command.ts';
import { readText } from '../text_file.ts';

/** `samewise capacity`: what the definitions cost under a load, before there is any. */
export function capacity(program: Command): void {
  program.addCommand(
    command(
      'capacity',
      'predict pages, bytes, reads, writes, shards and cores from the definitions and a load',
      ['capacity load.yaml', 'capacity load.yaml --formulas', 'capacity load.yaml --json'],
    )
      .argument('<load>', 'a YAML or JSON file: how many entities, events and requests there are')
      .option('--formulas', 'every number with its formula')
      .addHelpText('after', `\nA load:\n${EXAMPLE}`)
      .action(async (file: string, options: { formulas?: boolean }, self: Command) => {
        const { out, project } = surroundings(self);
        const { predict, readLoad } = await import('../../capacity/index.ts');
        const { readConfig } = await import('../../app/config.ts');
        const { loadDefinitions } = await import('../../app/definitions.ts');
        const load = readLoad(readText(file), file);
        const predicted = predict(await loadDefinitions(readConfig(project)), load);
        const { printCapacity } = await import('../capacity_table.ts');
        out.result(predicted, () => printCapacity(predicted, options.formulas === true));
      }),
  );
}

const EXAMPLE = `  history: 365d                  # how long events have been coming
  entities:
    customer: { count: 100M, skew: 0.8 }
  sources:
    transactions: { rate: 20k }  # events a second
  services:
    fraud_v1: { rate: 50k }      # requests a second
`;
